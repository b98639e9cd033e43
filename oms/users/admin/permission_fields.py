"""The field of forms in which permissions are chosen."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Permission as PermissionRow

from oms.core.permissions import Permission


def offer_permissions(field: Any) -> None:
    """Let the form's field offer the shop's permissions by their labels; None for no such field."""
    if field is not None:
        field.queryset = PermissionRow.objects.filter(codename__in=list(Permission)).order_by("pk")
        field.label_from_instance = lambda row: f"{row.name} ({row.codename})"
