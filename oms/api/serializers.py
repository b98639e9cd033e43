"""The bases of serializers; input and output are never the same class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.functional import cached_property
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError


class InputSerializer(serializers.Serializer[Any]):
    """Validates a request body; an unknown member is an error, at every level.

    It checks shapes, not business rules, and saves nothing: views pass `validated_data` on to an
    operation.
    """

    # JSON Schema keywords for the object besides its properties, such as which exclude each other.
    constraints: ClassVar[Mapping[str, Any]] = {}

    def to_internal_value(self, data: Any) -> Any:
        unknown: dict[str, list[ErrorDetail]] = {}
        if isinstance(data, Mapping):
            unknown = {
                name: [ErrorDetail("Unknown field.", code="unknown_field")]
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
    """Presents an object whose relations the query has prefetched."""
