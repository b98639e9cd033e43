"""What of the event log clients may follow: which types, whose, and with which data."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from functools import cache, lru_cache
from typing import Any, get_args, get_origin, get_type_hints

import orders.return_events  # noqa: F401  # they are events of orders too, once they are known
from notifications.events import NotificationCreated
from oms.core.permissions import ALL_PERMISSIONS, Permission
from oms.events.types import DomainEvent, event_types
from orders.events import OrderEvent

# What staff need to follow the events of each kind of object. Who logs in and what staff may is in
# the audit trail alone.
_NEEDED = {
    "order": Permission.ORDERS_VIEW,
    "return": Permission.ORDERS_VIEW,
    "payment": Permission.PAYMENTS_VIEW,
    "refund": Permission.PAYMENTS_VIEW,
    "product": Permission.STOCK_VIEW,
    "location": Permission.STOCK_VIEW,
    "stock_document": Permission.STOCK_VIEW,
}


@cache
def types_for_customers() -> tuple[str, ...]:
    """The types of events that a customer may follow: of the own orders and notifications."""
    return tuple(sorted((*types_of_orders(), NotificationCreated.type)))


@cache
def types_of_orders() -> tuple[str, ...]:
    """The types of events of an order that its customer may follow."""
    return tuple(type_ for type_, cls in event_types().items() if issubclass(cls, OrderEvent))


@lru_cache(maxsize=1_000)
def types_for_staff(held: frozenset[Permission] = ALL_PERMISSIONS) -> tuple[str, ...]:
    """The types of events that staff with these permissions may follow."""
    return tuple(
        sorted(
            type_ for type_, cls in event_types().items() if _NEEDED.get(cls.object_type) in held
        )
    )


def types_as_markdown(types: Collection[str]) -> str:
    """A table of these types of events with the members of their data."""
    classes = event_types()
    rows = [f"| `{type_}` | {_members(classes[type_])} |" for type_ in types]
    return "\n".join(["| Type | Data |", "| --- | --- |", *rows])


def _members(event_class: type[DomainEvent]) -> str:
    hints = get_type_hints(event_class)
    return ", ".join(f"`{field.name}` {_kind(hints[field.name])}" for field in fields(event_class))


def _kind(hint: Any) -> str:
    """How a value of that type looks in JSON."""
    names = {"UUID": "uuid", "str": "string", "int": "integer", "bool": "boolean"}
    names |= {"Decimal": "amount", "datetime": "time", "NoneType": "null"}
    name = getattr(hint, "__name__", "")
    if name in names:
        return names[name]
    if name == "dict":
        value = get_args(hint)[1]
        return f"object of {'[old, new]' if get_origin(value) is list else _kind(value)}"
    return " or ".join(_kind(part) for part in get_args(hint))
