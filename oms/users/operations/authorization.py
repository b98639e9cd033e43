"""Who may change whose account, in the API and the back office."""

from __future__ import annotations

from collections.abc import Collection

from oms.core.actor import Actor, ActorKind
from oms.core.errors import OperationError
from oms.users.errors import OwnRights, SuperuserNeeded
from oms.users.models import User

# Only superusers may change these.
RIGHTS = frozenset({"is_staff", "is_superuser", "groups", "user_permissions"})
# Users may not change their own, so that no shop loses its last superuser by mistake.
KEPT_BY_OTHERS = frozenset({"is_active", "is_staff", "is_superuser"})


def check_authority(*, actor: Actor, user: User, changed: Collection[str] = ()) -> None:
    """Check that `actor` may change the fields `changed` of the account `user`.

    Everyone may change their own account, staff also those of customers, superusers also those of
    other staff. Only superusers may change RIGHTS, and nobody KEPT_BY_OTHERS of themselves. Raises
    SuperuserNeeded and OwnRights. Callers have raised NotFound before for customers who may not see
    the account.
    """
    refusal = _refusal(actor=actor, user=user, changed=set(changed))
    if refusal is not None:
        raise refusal


def check_superuser(*, actor: Actor) -> None:
    """Raise SuperuserNeeded unless `actor` is a superuser or the system."""
    if not actor.is_superuser and actor.kind is not ActorKind.SYSTEM:
        raise SuperuserNeeded


def may_change(*, actor: Actor, user: User) -> bool:
    """Whether `actor` may change the account `user` at all."""
    return _refusal(actor=actor, user=user, changed=set()) is None


def _refusal(*, actor: Actor, user: User, changed: Collection[str]) -> OperationError | None:
    if actor.kind is ActorKind.SYSTEM:
        return None
    is_own = actor.id == user.id
    if is_own and not KEPT_BY_OTHERS.isdisjoint(changed):
        return OwnRights()
    if actor.is_superuser:
        return None
    is_within_reach = is_own or not (user.is_staff or user.is_superuser)
    return None if is_within_reach and RIGHTS.isdisjoint(changed) else SuperuserNeeded()
