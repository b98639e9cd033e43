from django.apps import AppConfig


class UsersConfig(AppConfig):
    name = "oms.users"
    label = "users"
