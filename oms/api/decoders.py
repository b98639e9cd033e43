"""Input serializers compiled to decoders: the same rules at the speed of C, for the hot routes.

The serializer remains the only definition. Its decoder accepts a body only if the serializer would
accept it without changing any value, and returns the same values. Otherwise, for invalid or merely
unusual input, it returns None, and the caller uses the serializer itself, which reports errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeAlias
from uuid import UUID

import msgspec
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from oms.api.fields import (
    CharField,
    ChoiceField,
    CountryField,
    IntegerField,
    LanguageField,
    MetadataField,
    UUIDField,
)
from oms.api.serializers import InputSerializer
from oms.core.languages import LANGUAGE_TAG
from oms.http.payloads import count_strings

Decoder: TypeAlias = Callable[[bytes], Mapping[str, Any] | None]
Check: TypeAlias = Callable[[Any], Any]

# Text that CharField takes as it is: no control character, no space at either end.
_TEXT = r"\A(?!\s)[^\x00-\x1f\x7f-\x9f]*(?<!\s)\Z"
_LINES = r"\A(?!\s)[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*(?<!\s)\Z"
# msgspec also takes UUIDs without their hyphens, which UUIDField refuses; an escape may hide one.
_BARE_UUID = re.compile(rb'"[0-9a-fA-F\\u]{32,}"')


class _Object(msgspec.Struct, forbid_unknown_fields=True):
    """A JSON object that reads as the mapping of validated data, defaults included."""

    _defaults: ClassVar[Mapping[str, Any]] = {}

    def __getitem__(self, name: str) -> Any:
        value = getattr(self, name)
        return self._defaults[name] if value is msgspec.UNSET else value

    def __contains__(self, name: str) -> bool:
        return getattr(self, name, msgspec.UNSET) is not msgspec.UNSET or name in self._defaults

    def get(self, name: str, default: Any = None) -> Any:
        value = getattr(self, name, msgspec.UNSET)
        return self._defaults.get(name, default) if value is msgspec.UNSET else value

    def keys(self) -> list[str]:
        return [name for name in self.__struct_fields__ if name in self]


def compiled(serializer_class: type[InputSerializer]) -> Decoder:
    """The decoder of bodies that `serializer_class` describes.

    Raises TypeError for a field that has no compiled form.
    """
    serializer = serializer_class()
    decoder = msgspec.json.Decoder(_object_type(serializer))
    check = _checks(serializer)

    def decode(body: bytes) -> Mapping[str, Any] | None:
        if _BARE_UUID.search(body):
            return None
        try:
            value: Any = decoder.decode(body)
            # Of members with one name the decoder keeps the last, so strings are missing then.
            if count_strings(body) != count_strings(msgspec.json.encode(value)):
                return None
            if check is not None:
                check(value)
        except (msgspec.MsgspecError, ValidationError, UnicodeDecodeError, RecursionError):
            return None
        return value

    return decode


def _object_type(serializer: serializers.Serializer[Any]) -> type[_Object]:
    members: list[Any] = []
    defaults: dict[str, Any] = {}
    for name, field in serializer.fields.items():
        if field.read_only or field.source != name:
            raise TypeError(f"{name} of {type(serializer).__name__} cannot be compiled.")
        type_ = _type(field)
        if field.required:
            members.append((name, type_))
            continue
        # Unset and not the default, so that what a client has sent is known.
        members.append((name, type_ | msgspec.UnsetType, msgspec.UNSET))
        if field.default is not serializers.empty:
            defaults[name] = field.default
    made: Any = msgspec.defstruct(
        f"Compiled{type(serializer).__name__}",
        members,
        bases=(_Object,),
        namespace={"_defaults": defaults},
        kw_only=True,
        forbid_unknown_fields=True,
    )
    struct: type[_Object] = made
    return struct


def _type(field: Any) -> Any:
    """The type of the values that `field` takes unchanged."""
    if field.allow_null:
        raise TypeError("A field that may be null cannot be compiled.")
    if isinstance(field, IntegerField):
        return Annotated[int, msgspec.Meta(ge=field.min_value, le=field.max_value)]
    if isinstance(field, UUIDField):
        return UUID
    if isinstance(field, CountryField):
        return Literal[tuple(field.codes)]
    if isinstance(field, ChoiceField):
        return Literal[tuple(field.choices)]
    if isinstance(field, LanguageField):
        bounds = msgspec.Meta(max_length=field.max_length, pattern=rf"\A{LANGUAGE_TAG}\Z")
        return Annotated[str, bounds]
    if isinstance(field, MetadataField):
        name = msgspec.Meta(min_length=1, max_length=field.max_name_length, pattern=_TEXT)
        text = msgspec.Meta(max_length=field.max_text_length, pattern=_LINES)
        members = msgspec.Meta(max_length=field.max_members)
        return Annotated[dict[Annotated[str, name], Annotated[str, text]], members]
    if type(field) is CharField:
        return Annotated[
            str,
            msgspec.Meta(
                min_length=0 if field.allow_blank else 1,
                max_length=field.max_length,
                pattern=_LINES if field.allowed else _TEXT,
            ),
        ]
    if isinstance(field, serializers.ListSerializer):
        many: Any = field  # the stubs leave out its bounds
        bounds = msgspec.Meta(min_length=many.min_length, max_length=many.max_length)
        item = _type(many.child)
        return Annotated[list[item], bounds]  # type: ignore[valid-type]  # made at run time
    if isinstance(field, InputSerializer):
        return _object_type(field)
    raise TypeError(f"{type(field).__name__} cannot be compiled.")


def _checks(serializer: serializers.Serializer[Any]) -> Check | None:
    """What calls the `validate_…` of the serializer and of all below it; None if there are none."""
    if type(serializer).validate is not serializers.Serializer.validate:
        raise TypeError("A serializer with `validate` cannot be compiled.")
    checks: list[Check] = []
    fields: dict[str, Any] = dict(serializer.fields)
    for name, field in fields.items():
        own = getattr(serializer, f"validate_{name}", None)
        if own is not None:
            checks.append(_on_member(name, own))
        if isinstance(field, serializers.ListSerializer):
            below = _checks(field.child)  # type: ignore[arg-type]  # which ours always have
            if below is not None:
                checks.append(_on_member(name, _on_each(below)))
        elif isinstance(field, InputSerializer):
            below = _checks(field)
            if below is not None:
                checks.append(_on_member(name, below))

    def check(value: Any) -> None:
        for one in checks:
            one(value)

    return check if checks else None


def _on_member(name: str, check: Check) -> Check:
    def checked(value: Any) -> None:
        if name in value:
            check(value[name])

    return checked


def _on_each(check: Check) -> Check:
    def checked(values: Any) -> None:
        for value in values:
            check(value)

    return checked
