"""What of the event log clients may follow: which types, whose, and with which data."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from functools import cache
from typing import Any, get_args, get_type_hints

from notifications.events import NotificationCreated
from oms.events.types import DomainEvent, event_types
from orders.events import OrderEvent

# Who logs in and what staff may is in the audit trail alone.
_OF_STAFF = frozenset({"order", "payment", "refund", "product", "location"})


@cache
def types_for_customers() -> tuple[str, ...]:
    """The types of events that a customer may follow: of the own orders and notifications."""
    return tuple(sorted((*types_of_orders(), NotificationCreated.type)))


@cache
def types_of_orders() -> tuple[str, ...]:
    """The types of events of an order that its customer may follow."""
    return tuple(type_ for type_, cls in event_types().items() if issubclass(cls, OrderEvent))


@cache
def types_for_staff() -> tuple[str, ...]:
    """The types of events that staff may follow, of all orders and products."""
    return tuple(
        sorted(type_ for type_, cls in event_types().items() if cls.object_type in _OF_STAFF)
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
        return "object of [old, new]"
    return " or ".join(_kind(part) for part in get_args(hint))
