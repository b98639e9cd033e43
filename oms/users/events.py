"""Events about users."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from oms.events.types import DomainEvent, event


@event("user.registered")
class UserRegistered(DomainEvent):
    user_id: UUID
    email: str


@event("user.changed")
class UserChanged(DomainEvent):
    """`changes` maps each changed field to [old value, new value]."""

    user_id: UUID
    changes: dict[str, list[Any]]


@event("user.logged_in")
class UserLoggedIn(DomainEvent):
    """`session_id` is None for the back office, which uses Django's sessions."""

    user_id: UUID
    session_id: UUID | None


@event("user.session_revoked")
class SessionRevoked(DomainEvent):
    """`reason` is "logout", "reuse" (of a refresh token), or why staff ended it."""

    user_id: UUID
    session_id: UUID
    reason: str


@event("user.password_set")
class PasswordSet(DomainEvent):
    """A password was set by staff or by a mailed link, or changed in the back office."""

    user_id: UUID


@event("user.invited")
class StaffInvited(DomainEvent):
    """A member of the staff is to get a mail with a link to set the password."""

    user_id: UUID
    email: str


@event("group.changed")
class GroupChanged(DomainEvent):
    """A permission group was added or changed; `changes` as in UserChanged."""

    group_id: UUID
    name: str
    changes: dict[str, list[Any]]


def group_uuid(number: int) -> UUID:
    """The UUID in the event log for the group with Django's integer id `number`."""
    return UUID(int=number)
