"""The actor of an operation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from oms.core.errors import NotFound, PermissionDenied
from oms.core.permissions import ALL_PERMISSIONS, NO_PERMISSIONS, Permission

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

    `label` is for people: an e-mail address, or the name of a part of the system. Only staff have
    `permissions` or are superusers, who have all; the log records neither. `language` is the tag of
    the language that the account has chosen, "" for the shop's own.
    """

    kind: ActorKind
    label: str
    id: UUID | None = None
    request_id: str = ""
    ip: str | None = None
    is_superuser: bool = False
    permissions: frozenset[Permission] = NO_PERMISSIONS
    language: str = ""

    @property
    def is_staff(self) -> bool:
        return self.kind is ActorKind.STAFF

    def owns(self, customer_id: UUID | None) -> bool:
        """Whether what belongs to the customer `customer_id` is this actor's own."""
        return self.id is not None and self.id == customer_id

    @property
    def held(self) -> frozenset[Permission]:
        """The permissions in force: all of superusers and of the system, none of customers."""
        if self.kind is ActorKind.STAFF:
            return ALL_PERMISSIONS if self.is_superuser else self.permissions
        return ALL_PERMISSIONS if self.kind is ActorKind.SYSTEM else NO_PERMISSIONS

    def may(self, permission: Permission) -> bool:
        """Whether this actor has the permission."""
        return permission in self.held

    def require(self, *permissions: Permission) -> None:
        """Raise PermissionDenied for the first of the permissions that this actor lacks."""
        for permission in permissions:
            if not self.may(permission):
                raise PermissionDenied(permission)

    def require_for(self, customer_id: UUID | None, *permissions: Permission) -> None:
        """Raise unless it is this actor's own, or this actor has the permissions.

        Raises NotFound for other customers, who do not learn what there is, and PermissionDenied
        for staff. `customer_id` is None for what does not exist.
        """
        if self.owns(customer_id):
            return
        if self.kind in (ActorKind.CUSTOMER, ActorKind.ANONYMOUS):
            raise NotFound
        self.require(*permissions)


def anonymous(*, request_id: str = "", ip: str | None = None) -> Actor:
    """The actor of a caller who is not signed in."""
    return Actor(kind=ActorKind.ANONYMOUS, label="anonymous", request_id=request_id, ip=ip)


def account(
    *,
    id: UUID,
    email: str,
    is_staff: bool,
    is_superuser: bool,
    permissions: frozenset[Permission] = NO_PERMISSIONS,
    language: str = "",
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
        permissions=permissions if is_staff else NO_PERMISSIONS,
        language=language,
    )


def system(label: str, *, request_id: str = "") -> Actor:
    """The actor of background work, such as "expiry" or "payments"."""
    return Actor(kind=ActorKind.SYSTEM, label=label, request_id=request_id)
