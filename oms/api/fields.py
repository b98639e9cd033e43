"""Strict serializer fields.

REST framework's own accept "1_000" and Arabic digits as integers, "yes" as true, numbers as text,
and integers of any size.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from oms.api.countries import COUNTRIES
from oms.core.currencies import CURRENCIES, MOST_DECIMALS
from oms.core.languages import LANGUAGE_TAG, MAX_LANGUAGE_LENGTH
from oms.core.money import MAX_PRICE, ZERO, formatted
from oms.core.text import has_control_characters
from oms.core.timestamps import parse_instant

# Zero has no sign: "-0.00" is not an amount.
_AMOUNT = re.compile(
    rf"(?!-0(\.0*)?\Z)-?(0|[1-9][0-9]{{0,15}})(\.[0-9]{{1,{MOST_DECIMALS}}})?", flags=re.ASCII
)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", flags=re.ASCII | re.IGNORECASE)


class IntegerField(serializers.IntegerField):
    """A JSON integer from `min_value` to `max_value`; both are required."""

    def __init__(self, *, min_value: int, max_value: int, **options: Any) -> None:
        super().__init__(min_value=min_value, max_value=max_value, **options)

    def to_internal_value(self, data: Any) -> int:
        # To JSON Schema 5.0 is an integer.
        if isinstance(data, float) and data.is_integer():
            return int(data)
        # Not isinstance: True is an instance of int too.
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
    """An amount of money as a decimal string, never a JSON number.

    From zero, or above zero if `is_positive`, to `max_value`. As input it may have as many decimals
    as any currency has; the operation refuses more than its own has (`in_currency`). As output it
    has exactly the decimals of the object's `currency`; an object without one has exact amounts.
    """

    default_error_messages: ClassVar[dict[str, Any]] = {
        "invalid": 'Use a string with at most the decimals of the currency, such as "129.90".',
        "min_value": "Must be {allowed}.",
        "max_value": "Must be at most {bound}.",
    }

    def __init__(
        self, *, is_positive: bool = False, max_value: Decimal = MAX_PRICE, **options: Any
    ) -> None:
        self.is_positive, self.max_value = is_positive, max_value
        super().__init__(**options)

    def to_internal_value(self, data: Any) -> Decimal:
        if not isinstance(data, str) or not _AMOUNT.fullmatch(data):
            self.fail("invalid")
        amount = Decimal(data)
        if amount < ZERO or (self.is_positive and not amount):
            self.fail("min_value", allowed="more than 0" if self.is_positive else "0 or more")
        if amount > self.max_value:
            self.fail("max_value", bound=self.max_value)
        return amount

    def get_attribute(self, instance: Any) -> Any:
        amount = super().get_attribute(instance)
        currency = getattr(instance, "currency", None)
        return amount if amount is None or currency is None else formatted(amount, currency)

    def to_representation(self, value: Decimal | str) -> str:
        return f"{value:f}" if isinstance(value, Decimal) else value

    def schema(self, *, output: bool) -> dict[str, Any]:
        """The OpenAPI schema; an `output` has no bounds, since totals exceed those of prices."""
        described = "at most the decimals"
        if output:
            described = "exactly the decimals"
            pattern = rf"^-?(0|[1-9][0-9]{{0,15}})(\.[0-9]{{2,{MOST_DECIMALS}}})?$"
        else:
            positive = r"(?!0(\.0+)?$)" if self.is_positive else ""
            # All maxima have nines only: the number of digits expresses them.
            digits = len(str(int(self.max_value))) - 1
            decimals = rf"(\.[0-9]{{1,{MOST_DECIMALS}}})?"
            pattern = rf"^{positive}(0|[1-9][0-9]{{0,{digits}}}){decimals}$"
        return {
            "type": "string",
            "format": "decimal",
            "pattern": pattern,
            "description": f"Has {described} that ISO 4217 gives the currency.",
            "examples": ["129.90", "1200", "12.500"],
        }


class CharField(serializers.CharField):
    """Text of at most `max_length` characters, without control characters.

    With `multiline`, tabs and line breaks are allowed. Numbers are not accepted.
    """

    default_error_messages: ClassVar[dict[str, Any]] = {
        "forbidden_character": "Control characters are not allowed.",
    }

    def __init__(self, *, max_length: int, multiline: bool = False, **options: Any) -> None:
        self.allowed = "\t\n\r" if multiline else ""
        super().__init__(max_length=max_length, **options)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if isinstance(data, str) and has_control_characters(data, allowed=self.allowed):
            self.fail("forbidden_character")
        return super().run_validation(data)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)

    @property
    def pattern(self) -> str:
        """The accepted text as a regular expression (ECMA 262), for OpenAPI."""
        # JSON Schema patterns cannot express surrogates.
        control = r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f"
        if not self.allowed:
            control = r"\u0000-\u001f\u007f-\u009f"
        if self.allow_blank or not self.trim_whitespace:
            return f"^[^{control}]*$"
        return rf"^[^{control}]*[^\s{control}][^{control}]*$"


class LanguageField(CharField):
    """A language tag (BCP 47), such as "de" or "pt-BR"; not that anybody has registered it."""

    default_error_messages: ClassVar[dict[str, Any]] = {
        "invalid_language": "Use a language tag (BCP 47), such as de or pt-BR.",
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=MAX_LANGUAGE_LENGTH, **options)

    def to_internal_value(self, data: Any) -> str:
        tag = super().to_internal_value(data)
        if not re.fullmatch(LANGUAGE_TAG, tag):
            self.fail("invalid_language")
        return tag

    @property
    def pattern(self) -> str:
        return f"^({LANGUAGE_TAG})?$" if self.allow_blank else f"^{LANGUAGE_TAG}$"


class MetadataField(serializers.DictField):
    """Texts by names of the client's own choice, which are kept exactly as they are."""

    max_members = 20
    max_name_length = 40
    max_text_length = 500

    default_error_messages: ClassVar[dict[str, Any]] = {
        "max_members": "Use at most {max_members} names.",
        "name": "Use names of 1 to {max_length} characters, without control characters.",
    }

    def __init__(self, **options: Any) -> None:
        child = CharField(
            max_length=self.max_text_length,
            multiline=True,
            allow_blank=True,
            trim_whitespace=False,
        )
        super().__init__(child=child, **options)

    def to_internal_value(self, data: Any) -> dict[str, str]:
        if isinstance(data, dict):
            if len(data) > self.max_members:
                self.fail("max_members", max_members=self.max_members)
            text = self.error_messages["name"].format(max_length=self.max_name_length)
            wrong = {
                name: [ErrorDetail(text, code="name")]
                for name in data
                if not 1 <= len(name) <= self.max_name_length or has_control_characters(name)
            }
            if wrong:
                raise serializers.ValidationError(wrong)
        values: dict[str, str] = super().to_internal_value(data)
        return values

    @property
    def bounds(self) -> dict[str, Any]:
        """The keywords of JSON Schema that REST framework does not know of."""
        return {
            "maxProperties": self.max_members,
            "propertyNames": {
                "minLength": 1,
                "maxLength": self.max_name_length,
                "pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$",
            },
        }


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
    """A timestamp: RFC 3339 with a time zone as input, UTC with a Z as output."""

    default_error_messages: ClassVar[dict[str, Any]] = {
        "no_instant": 'Use an RFC 3339 timestamp with a time zone, such as "2026-11-21T09:30:00Z".',
    }

    def to_internal_value(self, value: Any) -> datetime:
        try:
            return parse_instant(value)
        except (TypeError, ValueError):
            self.fail("no_instant")


class _CodeField(CharField):
    """A code in capitals from a fixed list."""

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
        "invalid_choice": "Use an ISO 3166-1 alpha-2 code in capitals, such as DE.",
    }


@extend_schema_field({"type": "string", "enum": sorted(CURRENCIES)})
class CurrencyField(_CodeField):
    """An ISO 4217 currency code in capitals."""

    codes = CURRENCIES
    length = 3
    default_error_messages: ClassVar[dict[str, Any]] = {
        "invalid_choice": "Use an ISO 4217 code in capitals, such as EUR.",
    }
