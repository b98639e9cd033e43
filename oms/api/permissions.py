"""Who may call a route: 401 for nobody where somebody is needed, 403 for the wrong somebody."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import AllowAny, BasePermission, IsAuthenticated
from rest_framework.request import Request

__all__ = ["AllowAny", "IsAuthenticated", "IsCustomer", "IsStaff"]


class IsCustomer(IsAuthenticated):
    """Anyone who is signed in; staff may buy here too."""


class IsStaff(BasePermission):
    """Staff and superusers."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return bool(request.user and request.user.is_authenticated and request.user.is_staff)
