"""The admin app with this project's site. Admin pages load only where URLs are served."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.contrib import admin
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core import checks


class BackOfficeConfig(AppConfig):
    """Templates and static files shared by the admin pages of all apps."""

    name = "oms.backoffice"


class AdminConfig(SimpleAdminConfig):
    """Leaves the autodiscovery of admin pages to oms/urls.py: workers and commands need none."""

    default_site = "oms.backoffice.site.BackOfficeSite"

    def ready(self) -> None:
        # Replaces the superclass, whose second check would run before any page is registered.
        checks.register(check_dependencies, checks.Tags.admin)
        checks.register(_check_all_pages, checks.Tags.admin)


def _check_all_pages(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> Sequence[checks.CheckMessage]:
    admin.autodiscover()
    return check_admin_app(app_configs, **kwargs)
