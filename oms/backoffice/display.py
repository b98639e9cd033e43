"""How values are shown in lists and pages, and columns made of them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from oms.core.currencies import DECIMALS

EMPTY = "–"


def badge(text: Any, colour: str = "") -> SafeString:
    """A label; `colour` is info, success, warning, danger, primary, or "" for grey."""
    return _label(str(text), colour)


# A list shows the same few labels hundreds of times, and rendering one takes half a millisecond.
@lru_cache(maxsize=512)
def _label(text: str, colour: str) -> SafeString:
    return render_to_string("unfold/helpers/label.html", {"text": text, "type": colour})


def choice_badge(obj: Any, field: str, colours: Mapping[Any, str]) -> SafeString:
    """The value of a field with choices, as a badge in its colour."""
    return badge(getattr(obj, f"get_{field}_display")(), colours[getattr(obj, field)])


def money(amount: Decimal | None, currency: str) -> str:
    """Such as "1,234.50 EUR" or "1,234 JPY"."""
    if amount is None:
        return EMPTY
    return f"{number_format(amount, DECIMALS[currency], force_grouping=True)} {currency}"


def number(value: int) -> str:
    """Such as "1,234" and "−4"."""
    return number_format(value, force_grouping=True).replace("-", "−")


def signed(value: int) -> str:
    """Such as "+3" and "−2"; a dash for zero."""
    return EMPTY if value == 0 else f"{value:+,}".replace("-", "−")


def link(text: Any, page: str, id: UUID | int | str | None) -> SafeString | str:
    """A link to the admin page of the object `id`; `page` is such as "orders_order"."""
    if id is None:
        return EMPTY
    return format_html(
        '<a class="bo-link" href="{}">{}</a>', reverse(f"admin:{page}_change", args=[id]), text
    )


def badge_column(field: str, colours: Mapping[Any, str], description: Any = None) -> Any:
    """A column of `choice_badge`, titled "status" by default."""

    @display(description=description or _("status"))
    def column(obj: Any) -> SafeString:
        return choice_badge(obj, field, colours)

    column.__name__ = field
    return column


def money_column(field: str, description: Any) -> Any:
    """A column of an amount in the currency of its row."""

    @display(description=description, ordering=field)
    def column(obj: Any) -> str:
        return money(getattr(obj, field), obj.currency)

    column.__name__ = field
    return column
