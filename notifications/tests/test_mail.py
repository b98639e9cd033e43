"""The shape of the mail that goes out."""

from __future__ import annotations

from email import message_from_bytes
from email.message import Message
from email.policy import SMTP
from typing import Any

import pytest
from django.core.mail import BadHeaderError, EmailMultiAlternatives

from notifications.mail import composed
from notifications.models import Notification
from notifications.tests.mail_senders import MakeMail

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_composed_mail_never_changes_its_id(mail: MakeMail) -> None:
    waiting = mail()

    ids = {_sent(waiting)["Message-ID"] for _ in range(3)}

    assert ids == {waiting.message_id}


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
def test_a_mail_is_written_as_django_writes_it(
    mail: MakeMail, field: str, text: str, linesep: str
) -> None:
    waiting = mail()
    setattr(waiting, field, text)
    composed_mail: Any = composed(waiting)
    written = composed_mail.message().as_bytes(linesep=linesep)

    expected: Any = EmailMultiAlternatives.message(composed_mail)
    expected.set_boundary(message_from_bytes(written).get_boundary())
    expected.replace_header("Date", message_from_bytes(written)["Date"])

    assert written == expected.as_bytes(linesep=linesep)


@pytest.mark.parametrize("header", ["subject", "email"])
def test_no_header_can_bring_another(mail: MakeMail, header: str) -> None:
    waiting = mail()
    setattr(waiting, header, "a@example.com\nBcc: eve@example.com")

    with pytest.raises(BadHeaderError):
        composed(waiting).message()


def test_no_part_of_a_mail_can_guess_its_boundary(mail: MakeMail) -> None:
    waiting = mail()

    boundaries = [_sent(waiting).get_boundary() for _ in range(2)]

    assert len(set(boundaries)) == 2


def test_a_mail_that_is_asked_for_with_options_is_djangos(
    mail: MakeMail, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(
        EmailMultiAlternatives, "message", lambda _, **options: asked.append(options)
    )

    later: Any = composed(mail())
    later.message(policy=SMTP)

    assert asked == [{"policy": SMTP}]


def _sent(waiting: Notification) -> Message:
    return message_from_bytes(composed(waiting).message().as_bytes())
