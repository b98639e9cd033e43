from django.apps import AppConfig


class HttpConfig(AppConfig):
    name = "oms.http"
    label = "http"
