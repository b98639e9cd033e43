"""Event types: frozen dataclasses named in the past tense."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar, dataclass_transform
from uuid import UUID

import msgspec

_types: dict[str, type[DomainEvent]] = {}

E = TypeVar("E", bound="type[DomainEvent]")


@dataclass(frozen=True, kw_only=True)
class DomainEvent:
    """Something that an operation has done.

    `type` names it in the log, such as "order.placed"; `object_type` and `object_id` name what it
    happened to. The fields of a subclass are its data and must survive JSON.
    """

    type: ClassVar[str]
    object_type: ClassVar[str]

    @property
    def object_id(self) -> UUID:
        object_id: UUID = getattr(self, f"{self.object_type}_id")
        return object_id


@dataclass_transform(kw_only_default=True, frozen_default=True)
def event(type_: str) -> Callable[[E], E]:
    """Class decorator: make the event class a frozen dataclass, and register it as `type_`.

    The part before the dot is its object type, whose id is the field `<object type>_id`.
    """

    def register(cls: E) -> E:
        if type_ in _types:
            raise TypeError(f"Two events are called {type_}.")
        dataclass(frozen=True, kw_only=True)(cls)
        cls.type, cls.object_type = type_, type_.split(".")[0]
        if f"{cls.object_type}_id" not in {field.name for field in fields(cls)}:
            raise TypeError(f"{cls.__name__} has no field {cls.object_type}_id.")
        _types[type_] = cls
        return cls

    return register


def event_types() -> dict[str, type[DomainEvent]]:
    """Every registered event class by its type."""
    return dict(_types)


def encode(event: DomainEvent) -> dict[str, Any]:
    """The data of `event` as JSON types: decimals, UUIDs and times as strings."""
    data: dict[str, Any] = msgspec.to_builtins(event)
    return data


def decode(type_: str, data: dict[str, Any] | str) -> DomainEvent:
    """The event of that type and data, or JSON. Raises KeyError for a type that is not known."""
    if isinstance(data, str):
        return msgspec.json.decode(data, type=_types[type_])
    return msgspec.convert(data, type=_types[type_])
