"""The logged-in user of the back office, as an Actor for operations."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from oms.core.actor import Actor, account
from oms.core.permissions import Permission


def staff_actor(request: HttpRequest) -> Actor:
    """The staff user of an authorised request to the admin site, labelled by e-mail."""
    user: Any = request.user
    return account(
        id=user.pk,
        email=user.email,
        is_staff=True,
        is_superuser=user.is_superuser,
        permissions=user.permissions,
        request_id=getattr(request, "request_id", ""),
        ip=getattr(request, "client_address", None),
    )


def may(request: HttpRequest, *permissions: Permission) -> bool:
    """Whether the user of a request to the admin site has all of the permissions."""
    user: Any = request.user
    # Django also asks on pages without a login.
    return bool(user.is_active and user.is_staff) and staff_actor(request).held.issuperset(
        permissions
    )
