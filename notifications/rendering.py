"""Rendering messages as e-mails."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

from django.conf import settings
from django.template import engines
from django.utils.translation import get_language, get_language_bidi
from django.utils.translation import gettext as _

from notifications.messages import Message, money
from orders.read_models import OrderSummary


def render_mail(
    message: Message, *, recipient_name: str, order: OrderSummary | None = None
) -> tuple[str, str]:
    """The e-mail in the active language as text and as HTML; `recipient_name` may be empty."""
    language = get_language()
    shop, names = settings.SHOP_NAME, {"name": recipient_name}
    if order is None:
        footer = _("You received this email as a staff member of %(shop)s.") % {"shop": shop}
    else:
        footer = _("You received this email about your order %(number)s at %(shop)s.") % {
            "number": order.number,
            "shop": shop,
        }
    shows_order = order is not None and message.shows_order
    context = {
        "_": partial(_translate, language),
        "language": language,
        "direction": "rtl" if get_language_bidi() else "ltr",
        "shop": shop,
        "greeting": _("Hello %(name)s,") % names if recipient_name else _("Hello,"),
        "message": message,
        "order": order,
        "total": money(order.total, order.currency) if order and shows_order else "",
        "address": address_lines(order.shipping_address) if order and shows_order else [],
        "money": money,
        "footer": footer,
    }
    engine: Any = engines["jinja2"]
    text, html = (engine.get_template(f"notifications/mail.{form}") for form in ("txt", "html"))
    return text.render(context), html.render(context)


@lru_cache(maxsize=1024)
def _translate(language: str, text: str) -> str:
    """Cached per language, because gettext takes 5 µs and a mail has a dozen fixed texts."""
    return _(text)


def address_lines(address: Mapping[str, str]) -> list[str]:
    """The lines of a postal address, without empty ones."""
    place = " ".join(filter(None, (address.get("postal_code"), address.get("city"))))
    names = ("name", "line1", "line2")
    lines = (*map(address.get, names), place, address.get("region"), address.get("country"))
    return [line for line in lines if line]
