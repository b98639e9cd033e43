"""The two kinds of serializers: what comes in and what goes out are never the same class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.functional import cached_property
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError


class InputSerializer(serializers.Serializer[Any]):
    """What a request may say. A member that is no field of it is an error, at every level.

    It checks shapes, never the rules of the business, and saves nothing: views hand its
    `validated_data` to an operation.
    """

    # What OpenAPI says about the object besides its members, such as which exclude each other.
    constraints: ClassVar[Mapping[str, Any]] = {}

    def to_internal_value(self, data: Any) -> Any:
        unknown: dict[str, list[ErrorDetail]] = {}
        if isinstance(data, Mapping):
            unknown = {
                name: [ErrorDetail("There is no such member.", code="unknown_field")]
                for name in data
                if name not in self._known
            }
        try:
            value = super().to_internal_value(data)
        except ValidationError as error:
            if unknown and isinstance(error.detail, dict):
                raise ValidationError({**error.detail, **unknown}) from error
            raise
        if unknown:
            raise ValidationError(unknown)
        return value

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(name for name, field in self.fields.items() if not field.read_only)


class OutputSerializer(serializers.Serializer[Any]):
    """What an answer says. It reads from objects that a query has prefetched completely."""
