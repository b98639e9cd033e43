"""The Content-Security-Policy of pages, and a stricter one of the API's answers."""

from __future__ import annotations

from typing import Any

from csp.middleware import CSPMiddleware, PolicyParts
from django.http import HttpRequest, HttpResponseBase

from oms.http.middleware.problems import is_api

# If a browser were to show an answer as a page, nothing of it could act.
_OF_DATA: dict[str, list[str]] = {"default-src": ["'none'"], "frame-ancestors": ["'none'"]}


class ContentSecurityPolicyMiddleware(CSPMiddleware):
    """django-csp's middleware; a view's own policy is set by the decorators of django-csp."""

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        """The view's own policy, the API's, or that of settings."""
        parts: Any = super().get_policy_parts(request, response, report_only)
        if parts.config is None and is_api(request) and not report_only:
            parts.config = _OF_DATA
        return parts
