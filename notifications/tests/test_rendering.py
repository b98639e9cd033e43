"""The rendered e-mail."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

from django.utils import translation
from pytest_django import Settings

from notifications.messages import Message
from notifications.models import Kind
from notifications.rendering import render_mail

MESSAGE = Message(
    kind=Kind.LOW_STOCK,
    subject="s",
    headline="h",
    paragraphs=("p",),
    link="https://shop.example.com/?a=1&b=2",
)


def write_catalogue(folder: Path, language: str, texts: Mapping[str, str]) -> None:
    """A compiled gettext catalogue (GNU gettext manual, "The Format of GNU MO Files")."""
    pairs = [("", "Content-Type: text/plain; charset=UTF-8\n"), *sorted(texts.items())]
    strings = [text.encode() for column in zip(*pairs, strict=True) for text in column]
    offset = 28 + 8 * len(strings)
    index, data = b"", b""
    for string in strings:
        index += struct.pack("<II", len(string), offset + len(data))
        data += string + b"\0"
    header = (0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, offset)
    path = folder / language / "LC_MESSAGES" / "django.mo"
    path.parent.mkdir(parents=True)
    path.write_bytes(struct.pack("<7I", *header) + index + data)


def test_a_mail_is_in_the_active_language(settings: Settings, tmp_path: Path) -> None:
    write_catalogue(tmp_path, "eo", {"Hello,": "Saluton,", "View product": "Montri & aĉeti"})
    write_catalogue(tmp_path, "fa", {"Hello,": "سلام"})
    settings.LOCALE_PATHS = [tmp_path]

    with translation.override("eo"):
        text_eo, html_eo = render_mail(MESSAGE, recipient_name="")
    with translation.override("fa"):
        text_fa, html_fa = render_mail(MESSAGE, recipient_name="")

    assert text_eo.startswith("Saluton,")
    assert "Montri &amp; aĉeti" in html_eo
    assert '<html lang="eo" dir="ltr">' in html_eo
    assert text_fa.startswith("سلام")
    assert "View product" in html_fa
    assert '<html lang="fa" dir="rtl">' in html_fa


def test_only_html_is_escaped() -> None:
    text, html = render_mail(MESSAGE, recipient_name="<b>")

    assert "Hello <b>," in text
    assert "?a=1&b=2" in text
    assert "Hello &lt;b&gt;," in html
    assert 'href="https://shop.example.com/?a=1&amp;b=2"' in html
