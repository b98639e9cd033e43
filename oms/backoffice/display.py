"""How values look in the back office's lists and pages."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime

NOTHING = "–"


def badge(text: Any, kind: str = "") -> SafeString:
    """A coloured label; `kind` is info, success, warning, danger, primary, or "" for grey."""
    return _label(str(text), kind)


# A list shows the same few labels hundreds of times, and rendering one takes half a millisecond.
@lru_cache(maxsize=512)
def _label(text: str, kind: str) -> SafeString:
    return render_to_string("unfold/helpers/label.html", {"text": text, "type": kind})


def money(amount: Decimal | None, currency: str) -> str:
    """Such as "1,234.50 EUR"."""
    if amount is None:
        return NOTHING
    return f"{number_format(amount, 2, force_grouping=True)} {currency}"


def moment(at: datetime | None) -> str:
    """Such as "21 Nov 2026, 14:05", in the time zone of the page."""
    return NOTHING if at is None else date_format(localtime(at), "j M Y, H:i")


def day(at: date | None) -> str:
    """Such as "21 Nov 2026"."""
    return NOTHING if at is None else date_format(at, "j M Y")


def number(amount: int) -> str:
    """Such as "1,234" and "−4"."""
    return number_format(amount, force_grouping=True).replace("-", "−")


def signed(number: int) -> str:
    """Such as "+3" and "−2"; a dash for nothing."""
    return NOTHING if number == 0 else f"{number:+,}".replace("-", "−")


def link(text: Any, page: str, id: UUID | int | str | None) -> SafeString | str:
    """A link to the admin page of the object `id`; `page` is such as "orders_order"."""
    if id is None:
        return NOTHING
    return format_html(
        '<a class="bo-link" href="{}">{}</a>', reverse(f"admin:{page}_change", args=[id]), text
    )
