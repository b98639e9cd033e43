"""Permissions of routes: 401 for anonymous callers, 403 for those without the permission."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import AllowAny, BasePermission, IsAuthenticated
from rest_framework.request import Request

__all__ = ["AllowAny", "IsAuthenticated", "IsCustomer", "IsStaff"]


class IsCustomer(IsAuthenticated):
    """Any signed-in user; staff may place orders too."""


class IsStaff(BasePermission):
    """Staff and superusers."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return bool(request.user and request.user.is_authenticated and request.user.is_staff)
