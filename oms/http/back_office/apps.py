"""Django's admin application with our site."""

from django.contrib.admin.apps import AdminConfig


class BackOfficeConfig(AdminConfig):
    default_site = "oms.http.back_office.site.BackOfficeSite"
