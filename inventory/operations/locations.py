"""Creating and changing locations."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import IntegrityError

from inventory.errors import CodeTaken, NoDefaultLocation
from inventory.events import LocationChanged, LocationCreated
from inventory.locks import lock_location
from inventory.models import Location
from oms.core.actor import Actor
from oms.core.errors import NotFound
from oms.core.permissions import Permission
from oms.db.transactions import RetryTransaction, transaction, violated_constraint
from oms.events.publishing import publish


@transaction
def create_location(
    *, actor: Actor, code: str, name: str, priority: int = 100, is_default: bool = False
) -> Location:
    """Create a location; a new default replaces the previous one.

    Raises PermissionDenied and CodeTaken.
    """
    actor.require(Permission.STOCK_VIEW, Permission.STOCK_ADJUST)
    if Location.objects.filter(code=code).exists():
        raise CodeTaken
    if is_default:
        _clear_default()
    location = Location(code=code, name=name, priority=priority, is_default=is_default)
    _save(location, force_insert=True)
    publish(LocationCreated(location_id=location.id, code=code, name=name), actor=actor)
    return location


@transaction
def change_location(*, actor: Actor, location_id: UUID, values: dict[str, Any]) -> Location:
    """Change the fields `values` of a location.

    Raises PermissionDenied, NotFound, CodeTaken, and NoDefaultLocation if no default location
    would remain.
    """
    actor.require(Permission.STOCK_VIEW, Permission.STOCK_ADJUST)
    location = lock_location(location_id)
    if location is None:
        raise NotFound
    changes = {
        name: [getattr(location, name), value]
        for name, value in values.items()
        if getattr(location, name) != value
    }
    if not changes:
        return location
    if location.is_default and "is_default" in changes:
        raise NoDefaultLocation
    if values.get("is_default"):
        _clear_default()
    for name in changes:
        setattr(location, name, values[name])
    _save(location, update_fields=list(changes))
    publish(
        LocationChanged(location_id=location.id, code=location.code, changes=changes), actor=actor
    )
    return location


def _clear_default() -> None:
    Location.objects.filter(is_default=True).update(is_default=False)


def _save(location: Location, **options: Any) -> None:
    try:
        location.save(**options)
    except IntegrityError as error:
        if violated_constraint(error).startswith("inventory_location_code"):
            raise CodeTaken from error
        if violated_constraint(error) == "location_one_default":
            raise RetryTransaction("Another location has just become the default.") from error
        raise
