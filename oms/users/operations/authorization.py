"""Who may change whose account, in the API and the back office.

Nobody makes anybody mightier than himself, nor takes over the account of somebody mightier: who
changes a member of the staff has all that the member was granted.
"""

from __future__ import annotations

from collections.abc import Collection

from oms.core.actor import Actor, ActorKind
from oms.core.errors import OperationError, PermissionDenied
from oms.core.permissions import Permission
from oms.users.errors import OwnRights, SuperuserNeeded
from oms.users.granted import granted_permissions
from oms.users.models import User

# Changed by those who manage staff alone.
RIGHTS = frozenset({"is_staff", "is_superuser", "groups", "user_permissions"})
# Users may not change their own, so that no shop loses its last superuser by mistake.
KEPT_BY_OTHERS = frozenset({"is_active", "is_staff", "is_superuser"})


def check_authority(*, actor: Actor, user: User, changed: Collection[str] = ()) -> None:
    """Check that `actor` may change the fields `changed` of the account `user`.

    Everyone may change their own account, staff with `customers.edit` those of customers, and staff
    with `staff.manage` those of other staff and the RIGHTS of all, unless the other has rights that
    they lack. Only superusers change superusers, and make any. Nobody changes KEPT_BY_OTHERS of
    themselves. Raises PermissionDenied, SuperuserNeeded and OwnRights. Callers have raised NotFound
    before for customers who may not see the account.
    """
    refusal = _refusal(actor=actor, user=user, changed=set(changed))
    if refusal is not None:
        raise refusal


def check_ceiling(*, actor: Actor, rights: Collection[Permission]) -> None:
    """Raise PermissionDenied for the first of the rights that `actor` lacks."""
    actor.require(*sorted(rights, key=list(Permission).index))


def may_change(*, actor: Actor, user: User) -> bool:
    """Whether `actor` may change the account `user` at all."""
    return _refusal(actor=actor, user=user, changed=set()) is None


def _refusal(*, actor: Actor, user: User, changed: Collection[str]) -> OperationError | None:
    if actor.kind is ActorKind.SYSTEM:
        return None
    is_own = actor.owns(user.id)
    if is_own and not KEPT_BY_OTHERS.isdisjoint(changed):
        return OwnRights()
    if actor.is_superuser or (is_own and RIGHTS.isdisjoint(changed)):
        return None
    if user.is_superuser or "is_superuser" in changed:
        return SuperuserNeeded()
    try:
        if user.is_staff or not RIGHTS.isdisjoint(changed):
            actor.require(Permission.STAFF_MANAGE)
            check_ceiling(actor=actor, rights=granted_permissions(user.id))
        else:
            actor.require(Permission.CUSTOMERS_VIEW, Permission.CUSTOMERS_EDIT)
    except PermissionDenied as refusal:
        return refusal
    return None
