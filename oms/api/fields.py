"""Fields that take what they say and nothing that merely looks like it.

REST framework's own take "1_000" and Arabic digits for integers, "yes" for true, numbers for text,
and integers of any size, which the database then refuses too late.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from oms.api.countries import COUNTRIES
from oms.core.money import CENT, CURRENCIES, MAX_PRICE, ZERO
from oms.core.timestamps import parse_instant

# Zero has no sign: "-0.00" is not an amount.
_AMOUNT = re.compile(r"(?!-0(\.0*)?\Z)-?(0|[1-9][0-9]{0,15})(\.[0-9]{1,2})?", flags=re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", flags=re.ASCII | re.IGNORECASE)


class IntegerField(serializers.IntegerField):
    """A JSON integer between `min_value` and `max_value`, both included and both required."""

    def __init__(self, *, min_value: int, max_value: int, **options: Any) -> None:
        super().__init__(min_value=min_value, max_value=max_value, **options)

    def to_internal_value(self, data: Any) -> int:
        # To JSON Schema 5.0 is an integer like 5.
        if isinstance(data, float) and data.is_integer():
            return int(data)
        # The type itself: True is an instance of int too.
        if type(data) is not int:
            self.fail("invalid")
        return data


class BooleanField(serializers.BooleanField):
    """true or false."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class MoneyField(serializers.Field[Decimal, str, str, Any]):
    """An amount of money as a decimal string of at most two places, never a JSON number.

    Takes `min_value` (0.00 by default) to `max_value` (9999999.99); gives exactly two places.
    """

    default_error_messages: ClassVar[dict[str, Any]] = {
        "invalid": 'An amount is a decimal string with at most two places, such as "129.90".',
        "min_value": "This amount must be at least {bound}.",
        "max_value": "This amount must be at most {bound}.",
    }

    def __init__(
        self, *, min_value: Decimal = ZERO, max_value: Decimal = MAX_PRICE, **options: Any
    ) -> None:
        self.min_value, self.max_value = min_value, max_value
        super().__init__(**options)

    def to_internal_value(self, data: Any) -> Decimal:
        if not isinstance(data, str) or not _AMOUNT.fullmatch(data):
            self.fail("invalid")
        amount = Decimal(data).quantize(CENT)
        if amount < self.min_value:
            self.fail("min_value", bound=self.min_value)
        if amount > self.max_value:
            self.fail("max_value", bound=self.max_value)
        return amount

    def to_representation(self, value: Decimal) -> str:
        return f"{value:.2f}"

    def schema(self, *, output: bool) -> dict[str, Any]:
        """What OpenAPI says of it; an `output` may be any amount, for totals pass the bounds."""
        if output:
            pattern = r"^-?(0|[1-9][0-9]{0,15})\.[0-9]{2}$"
        else:
            sign = "-?" if self.min_value < ZERO else ""
            positive = r"(?!0(\.0{1,2})?$)" if self.min_value > ZERO else ""
            # The bounds of all fields are powers of ten less a cent, so digits say them exactly.
            digits = len(str(int(self.max_value))) - 1
            pattern = rf"^{positive}{sign}(0|[1-9][0-9]{{0,{digits}}})(\.[0-9]{{1,2}})?$"
        return {
            "type": "string",
            "format": "decimal",
            "pattern": pattern,
            "examples": ["129.90"],
        }


class CharField(serializers.CharField):
    """Text of at most `max_length` characters, without control characters.

    With `multiline`, tabs and line breaks are allowed. Numbers are not taken for text.
    """

    default_error_messages: ClassVar[dict[str, Any]] = {
        "forbidden_character": "Control characters are not allowed.",
    }

    def __init__(self, *, max_length: int, multiline: bool = False, **options: Any) -> None:
        self.allowed = "\t\n\r" if multiline else ""
        super().__init__(max_length=max_length, **options)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if isinstance(data, str) and any(
            unicodedata.category(character) in ("Cc", "Cs") and character not in self.allowed
            for character in data
        ):
            self.fail("forbidden_character")
        return super().run_validation(data)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)

    @property
    def pattern(self) -> str:
        """What is taken as a regular expression (ECMA 262), for OpenAPI."""
        # Surrogates are none of JSON Schema's characters.
        control = r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f"
        if not self.allowed:
            control = r"\u0000-\u001f\u007f-\u009f"
        if self.allow_blank or not self.trim_whitespace:
            return f"^[^{control}]*$"
        return rf"^[^{control}]*[^\s{control}][^{control}]*$"


class EmailField(CharField, serializers.EmailField):
    """An e-mail address of at most 254 characters (RFC 5321)."""

    def __init__(self, *, max_length: int = 254, **options: Any) -> None:
        super().__init__(max_length=max_length, **options)


class UUIDField(serializers.UUIDField):
    """A UUID in its canonical form of 36 characters."""

    def to_internal_value(self, data: Any) -> UUID:
        if not isinstance(data, str) or not _UUID.fullmatch(data):
            self.fail("invalid", value=data)
        return UUID(data)


class ChoiceField(serializers.ChoiceField):
    """One of the `choices`, exactly as written."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            self.fail("invalid_choice", input=data)
        return super().to_internal_value(data)


class InstantField(serializers.DateTimeField):
    """A moment: RFC 3339 with a zone on the way in, UTC with a Z on the way out."""

    default_error_messages: ClassVar[dict[str, Any]] = {
        "no_instant": 'A time is RFC 3339 with a zone, such as "2026-11-21T09:30:00Z".',
    }

    def to_internal_value(self, value: Any) -> datetime:
        try:
            return parse_instant(value)
        except (TypeError, ValueError):
            self.fail("no_instant")


class _CodeField(CharField):
    """A code in capitals out of a fixed list."""

    codes: ClassVar[Iterable[str]] = ()
    length: ClassVar[int]

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=self.length, **options)

    def to_internal_value(self, data: Any) -> str:
        code = super().to_internal_value(data)
        if code not in self.codes:
            self.fail("invalid_choice")
        return code


@extend_schema_field({"type": "string", "enum": sorted(COUNTRIES), "examples": ["DE"]})
class CountryField(_CodeField):
    """A country as its ISO 3166-1 alpha-2 code in capitals."""

    codes = COUNTRIES
    length = 2
    default_error_messages: ClassVar[dict[str, Any]] = {
        "invalid_choice": "A country is an ISO 3166-1 alpha-2 code in capitals, such as DE.",
    }


@extend_schema_field({"type": "string", "enum": sorted(CURRENCIES)})
class CurrencyField(_CodeField):
    """A currency as its ISO 4217 code in capitals, of those that have hundredths."""

    codes = CURRENCIES
    length = 3
    default_error_messages: ClassVar[dict[str, Any]] = {
        "invalid_choice": "A currency is an ISO 4217 code in capitals, such as EUR.",
    }
