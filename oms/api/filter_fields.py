"""What clean the values of filters: form fields as django-filter wants them, but strict."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError

from oms.core.timestamps import parse_instant

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", flags=re.ASCII | re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", flags=re.ASCII)

MAX_SEARCH_LENGTH = 100
MAX_SEARCH_WORDS = 8


class ChoiceInFormField(forms.CharField):
    """Some of the `choices`, with commas between; a list of them."""

    def __init__(self, *args: Any, choices: Sequence[tuple[str, Any]], **options: Any) -> None:
        self.known = [str(value) for value, _ in choices]
        super().__init__(*args, **options)

    def clean(self, value: Any) -> list[str] | None:
        if value in self.empty_values:
            return None
        values = [part.strip() for part in str(value).split(",")]
        if wrong := [part for part in values if part not in self.known]:
            raise ValidationError(
                f"{', '.join(map(repr, wrong))}: not one of {', '.join(self.known)}.",
                code="invalid_choice",
            )
        return values


class InstantFormField(forms.CharField):
    """A moment, RFC 3339 with a zone."""

    def clean(self, value: Any) -> datetime | None:
        if value in self.empty_values:
            return None
        try:
            return parse_instant(value)
        except ValueError as error:
            raise ValidationError(
                "A time is RFC 3339 with a zone, such as 2026-11-21T09:30:00Z (in a query a + is "
                "written %2B).",
                code="no_instant",
            ) from error


class DateFormField(forms.CharField):
    """A calendar day, YYYY-MM-DD."""

    def clean(self, value: Any) -> date | None:
        if value in self.empty_values:
            return None
        try:
            if not _DATE.fullmatch(value):
                raise ValueError
            return date.fromisoformat(value)
        except ValueError as error:
            raise ValidationError("A date is written YYYY-MM-DD.", code="no_date") from error


class UUIDFormField(forms.CharField):
    """An id."""

    def clean(self, value: Any) -> UUID | None:
        if value in self.empty_values:
            return None
        if not _UUID.fullmatch(value):
            raise ValidationError("Not a UUID.", code="no_uuid")
        return UUID(value)


class BooleanFormField(forms.CharField):
    """true or false."""

    def clean(self, value: Any) -> bool | None:
        if value in self.empty_values:
            return None
        if value not in ("true", "false"):
            raise ValidationError("true or false.", code="no_boolean")
        return bool(value == "true")


class TextFormField(forms.CharField):
    """A text without control characters."""

    def clean(self, value: Any) -> str:
        text: str = super().clean(value)
        if any(unicodedata.category(character) == "Cc" for character in text):
            raise ValidationError("Control characters are not allowed.", code="forbidden_character")
        return text


class SearchFormField(TextFormField):
    """The words of a search."""

    def clean(self, value: Any) -> str:
        text = super().clean(value)
        if len(text) > MAX_SEARCH_LENGTH or len(text.split()) > MAX_SEARCH_WORDS:
            raise ValidationError(
                f"A search has at most {MAX_SEARCH_WORDS} words and "
                f"{MAX_SEARCH_LENGTH} characters.",
                code="too_long",
            )
        return text
