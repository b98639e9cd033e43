"""The composed e-mail."""

from __future__ import annotations

from email import message_from_bytes
from email.message import Message
from typing import Any
from uuid import uuid4

import pytest
from django.core.mail import BadHeaderError, EmailMultiAlternatives

from notifications.mail import compose_mail
from notifications.models import Notification


@pytest.fixture
def notification() -> Notification:
    id = uuid4()
    return Notification(
        id=id,
        order_id=uuid4(),
        email="ada@example.com",
        subject="Your order",
        body="Hello",
        body_html="<p>Hello</p>",
        message_id=f"<{id}@example.com>",
    )


def test_a_mail_always_has_the_same_message_id(notification: Notification) -> None:
    ids = {_parsed(notification)["Message-ID"] for _ in range(3)}

    assert ids == {notification.message_id}


@pytest.mark.parametrize(
    ("field", "text"),
    [
        *[
            ("subject", subject)
            for subject in ("plain", "Größe " + "ä" * 60, "x" * 200, "a b " * 40, "", "a\tb")
        ],
        ("subject", " a  b "),
        ("subject", "=?utf-8?q?x?="),
        ("email", "ada@" + "long." * 30 + "example"),
        ("email", "ada@bücher.example"),
        *[
            (body, text)
            for body in ("body", "body_html")
            for text in ("a", "ä\r\nb\rc\n", "From x\n.\n", "x" * 999, "ä" * 500 + "\ny", "\n")
        ],
    ],
)
@pytest.mark.parametrize("linesep", ["\n", "\r\n"])
def test_a_mail_is_serialised_as_by_django(
    notification: Notification, field: str, text: str, linesep: str
) -> None:
    setattr(notification, field, text)
    mail: Any = compose_mail(notification)
    serialised = mail.message().as_bytes(linesep=linesep)

    expected: Any = EmailMultiAlternatives.message(mail)
    expected.set_boundary(message_from_bytes(serialised).get_boundary())
    expected.replace_header("Date", message_from_bytes(serialised)["Date"])

    assert serialised == expected.as_bytes(linesep=linesep)


@pytest.mark.parametrize("header", ["subject", "email", "message_id"])
def test_header_injection_is_rejected(notification: Notification, header: str) -> None:
    setattr(notification, header, "a@example.com\nBcc: eve@example.com")

    with pytest.raises(BadHeaderError):
        compose_mail(notification).message()


def test_boundaries_are_random(notification: Notification) -> None:
    boundaries = [_parsed(notification).get_boundary() for _ in range(2)]

    assert len(set(boundaries)) == 2


def _parsed(notification: Notification) -> Message:
    return message_from_bytes(compose_mail(notification).message().as_bytes())
