"""Putting a message into the form of a channel."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.utils.html import escape
from django.utils.translation import get_language_bidi, override
from django.utils.translation import gettext as _
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape
from jinja2.ext import Extension

from notifications.messages import Message, current_language, money

_SUBJECT_LENGTH = 255
_FOLDER = Path(__file__).parent / "templates"


class _Templates(NamedTuple):
    text: Template
    html: Template


@cache
def _templates(language: str) -> _Templates:
    """The templates of mails in a language, compiled once; by Jinja, which takes a fifth of Django.

    A folder of the setting TEMPLATES may hold others that take their place. What they say is
    translated with it: a mail has a dozen texts, and most of its time was theirs.
    """
    engines: Any = settings.TEMPLATES
    folders = [folder for engine in engines for folder in engine.get("DIRS", ())]
    environment = Environment(
        loader=FileSystemLoader([*folders, _FOLDER]),
        autoescape=select_autoescape(["html"], default=False),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        extensions=[_Translated],
    )
    environment.globals["_"] = lru_cache(maxsize=1024)(partial(_said, language))
    return _Templates(
        text=environment.get_template("notifications/mail.txt"),
        html=environment.get_template("notifications/mail.html"),
    )


class _Translated(Extension):
    """Lets `{{ _("Product") }}` be a part of the compiled template, as all that never changes."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """The source with its texts in the language of the environment."""
        said: Any = self.environment.globals["_"]
        is_html = (name or "").endswith(".html")
        return _TEXT.sub(lambda m: escape(said(m[1])) if is_html else said(m[1]), source)


_TEXT = re.compile(r'\{\{ _\("([^"\\]*)"\) \}\}')


def _said(language: str, text: str) -> str:
    with override(language):
        return _(text)


@dataclass(frozen=True, kw_only=True)
class RenderedMail:
    """An e-mail as text and as HTML; the subject is one line."""

    subject: str
    text: str
    html: str


def one_line(text: str) -> str:
    """`text` without line breaks or other runs of white space, so that it is fit for a header."""
    return " ".join(text.split())[:_SUBJECT_LENGTH]


def rendered_mail(message: Message, *, greeted: str) -> RenderedMail:
    """`message` as an e-mail to the person called `greeted`; "" greets nobody by name."""
    language = current_language()
    context = _context(message, greeted=greeted, language=language)
    templates = _templates(language)
    return RenderedMail(
        subject=one_line(message.subject),
        text=templates.text.render(context),
        html=templates.html.render(context),
    )


def in_app_text(message: Message) -> str:
    """`message` as the short text that stands in the shop."""
    return "\n".join(message.paragraphs)


def _context(message: Message, *, greeted: str, language: str) -> dict[str, Any]:
    order = message.order
    greeting = _("Hello %(name)s,") % {"name": one_line(greeted)} if greeted else _("Hello,")
    lines = [
        {
            "sku": line.sku,
            "name": line.name,
            "quantity": line.quantity,
            "total": money(line.total, order.currency, language) if order else str(line.total),
        }
        for line in message.lines
    ]
    context: dict[str, Any] = {
        "language": language,
        "direction": "rtl" if get_language_bidi() else "ltr",
        "shop": settings.SHOP_NAME,
        "greeting": greeting,
        "message": message,
        "lines": lines,
        "order": order,
        "total": "",
        "address": [],
    }
    if order is not None and message.shows_order:
        context["total"] = money(order.total, order.currency, language)
        context["address"] = address_lines(dict(order.shipping_address))
    return context


def address_lines(address: dict[str, str]) -> list[str]:
    """A postal address as its lines, without those that are empty."""
    place = " ".join(filter(None, (address.get("postal_code"), address.get("city"))))
    lines = (
        address.get("name"),
        address.get("line1"),
        address.get("line2"),
        place,
        address.get("region"),
        address.get("country"),
    )
    return [line for line in lines if line]
