"""The admin site."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.template.response import SimpleTemplateResponse
from django.utils import timezone
from unfold.sites import UnfoldAdminSite

from oms.backoffice.display import EMPTY


class BackOfficeSite(UnfoldAdminSite):
    """django-unfold's admin site, in the time zone of the business."""

    enable_nav_sidebar = True
    empty_value_display = EMPTY

    def get_urls(self) -> list[Any]:
        """Without the redirects to public pages, which nothing here has."""
        urls = super().get_urls()
        return [url for url in urls if getattr(url, "name", "") != "view_on_site"]

    def admin_view(
        self, view: Callable[..., HttpResponseBase], cacheable: bool = False
    ) -> Callable[..., HttpResponseBase]:
        """The view with its access checks; it parses and shows times in the business time zone."""

        @wraps(view)
        def in_business_time(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            with timezone.override(settings.BUSINESS_TIME_ZONE):
                response = view(request, *args, **kwargs)
                # It would otherwise be rendered after the override has ended.
                if isinstance(response, SimpleTemplateResponse):
                    response.render()
                return response

        guarded: Callable[..., HttpResponseBase] = super().admin_view(in_business_time, cacheable)
        return guarded
