"""Facts about users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from oms.events.types import DomainEvent, event


@event("user.registered")
@dataclass(frozen=True, kw_only=True)
class UserRegistered(DomainEvent):
    user_id: UUID
    email: str


@event("user.changed")
@dataclass(frozen=True, kw_only=True)
class UserChanged(DomainEvent):
    """`changes` maps each changed field to its old and its new value."""

    user_id: UUID
    changes: dict[str, list[Any]]


@event("user.logged_in")
@dataclass(frozen=True, kw_only=True)
class UserLoggedIn(DomainEvent):
    """`session_id` is None in the back office, whose sessions are Django's."""

    user_id: UUID
    session_id: UUID | None


@event("user.session_revoked")
@dataclass(frozen=True, kw_only=True)
class SessionRevoked(DomainEvent):
    """`reason` is "logout", "reuse" (a used refresh token came again), or why staff ended it."""

    user_id: UUID
    session_id: UUID
    reason: str


@event("user.password_set")
@dataclass(frozen=True, kw_only=True)
class PasswordSet(DomainEvent):
    """Staff gave the user another password, which stands nowhere but in its hash."""

    user_id: UUID


@event("group.changed")
@dataclass(frozen=True, kw_only=True)
class GroupChanged(DomainEvent):
    """A group of rights was added or changed; `changes` as in UserChanged."""

    group_id: UUID
    name: str
    changes: dict[str, list[Any]]


def group_uuid(number: int) -> UUID:
    """The id that the group with Django's `number` has in the log, whose objects have UUIDs."""
    return UUID(int=number)
