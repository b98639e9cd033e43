"""What a mail looks like."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.utils import translation

from notifications import rendering
from notifications.messages import Message
from notifications.models import Kind
from notifications.rendering import rendered_mail
from orders.read_models import LineSummary


def _message() -> Message:
    line = LineSummary(sku="MUG", name="Mug {{ 1 }}", quantity=2, total=Decimal("1"))
    return Message(
        kind=Kind.ORDER_SHIPPED, subject="s", headline="h", paragraphs=("p",), lines=(line,)
    )


def test_the_texts_of_a_mail_are_in_the_language_of_the_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rendering, "_", lambda text: f"<{translation.get_language()}> {text}")
    # A language that no other mail was rendered in.
    with translation.override("eo"):
        mail = rendered_mail(_message(), greeted="")
    with translation.override("fa"):
        other = rendered_mail(_message(), greeted="")

    assert "&lt;eo&gt; Product<" in mail.html
    assert "&lt;fa&gt; Product<" in other.html
    assert '<html lang="fa" dir="rtl">' in other.html
    assert "<eo> Hello," in mail.text
