"""The actor of an operation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

# The request id of events that a seed creates.
SEED_REQUEST_ID = "demo-shop"


class ActorKind(StrEnum):
    ANONYMOUS = "anonymous"
    CUSTOMER = "customer"
    STAFF = "staff"
    SYSTEM = "system"


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who performs an operation, and from where; every event of the log names one.

    `label` is for people: an e-mail address, or the name of a part of the system. Only staff can be
    superusers; the log does not record it.
    """

    kind: ActorKind
    label: str
    id: UUID | None = None
    request_id: str = ""
    ip: str | None = None
    is_superuser: bool = False

    @property
    def is_staff(self) -> bool:
        return self.kind is ActorKind.STAFF

    def may_see_of(self, customer_id: UUID | None) -> bool:
        """Whether this actor may see and change what belongs to the customer `customer_id`."""
        return self.kind in (ActorKind.STAFF, ActorKind.SYSTEM) or (
            self.id is not None and self.id == customer_id
        )


def anonymous(*, request_id: str = "", ip: str | None = None) -> Actor:
    """The actor of a caller who is not signed in."""
    return Actor(kind=ActorKind.ANONYMOUS, label="anonymous", request_id=request_id, ip=ip)


def account(
    *,
    id: UUID,
    email: str,
    is_staff: bool,
    is_superuser: bool,
    request_id: str = "",
    ip: str | None = None,
) -> Actor:
    """The actor for an account."""
    return Actor(
        kind=ActorKind.STAFF if is_staff else ActorKind.CUSTOMER,
        id=id,
        label=email,
        request_id=request_id,
        ip=ip,
        is_superuser=is_staff and is_superuser,
    )


def system(label: str, *, request_id: str = "") -> Actor:
    """The actor of background work, such as "expiry" or "payments"."""
    return Actor(kind=ActorKind.SYSTEM, label=label, request_id=request_id)
