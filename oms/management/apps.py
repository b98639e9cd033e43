from django.apps import AppConfig


class ManagementConfig(AppConfig):
    """Makes the commands of oms/management/commands/ known to manage.py.

    Django looks for commands in the package `management` of an app, so the app is `oms` itself.
    """

    name = "oms"
    label = "oms"
