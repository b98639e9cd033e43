"""Django's admin application with our site, loaded where it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.contrib import admin
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core import checks


class BackOfficeConfig(AppConfig):
    """The templates and static files that the admin pages of all apps share."""

    name = "oms.backoffice"


class AdminConfig(SimpleAdminConfig):
    """The pages of the apps are found by oms/urls.py: workers and commands need none of them."""

    default_site = "oms.backoffice.site.BackOfficeSite"

    def ready(self) -> None:
        # In place of the superclass, whose second check would see no page before there are any.
        checks.register(check_dependencies, checks.Tags.admin)
        checks.register(_check_all_pages, checks.Tags.admin)


def _check_all_pages(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> Sequence[checks.CheckMessage]:
    admin.autodiscover()
    return check_admin_app(app_configs, **kwargs)
