"""The logged-in user of the back office, as an Actor for operations."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from oms.core.actor import Actor, ActorKind


def staff_actor(request: HttpRequest) -> Actor:
    """The staff user of an authorised request to the admin site, labelled by e-mail."""
    user: Any = request.user
    return Actor(
        kind=ActorKind.STAFF,
        id=user.pk,
        label=user.email,
        request_id=getattr(request, "request_id", ""),
        ip=getattr(request, "client_address", None),
        is_superuser=user.is_superuser,
        permissions=user.permissions,
    )
