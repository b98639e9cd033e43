"""Whose accounts the person at the back office may change."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from oms.backoffice.actors import staff_actor
from oms.users.models import User
from oms.users.operations.authorization import may_change


def is_within_reach(request: HttpRequest, user: Any) -> bool:
    """Whether the person may change `user` at all; true where there is no user to ask about."""
    return not isinstance(user, User) or may_change(actor=staff_actor(request), user=user)
