"""From an order over HTTP to its e-mails, with real processes and real files."""

from __future__ import annotations

import time
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import httpx
import pytest

from notifications.models import Notification
from oms.testing.factories import make_customer, make_product, tokens_for
from oms.testing.ordering import ADDRESS
from oms.testing.processes import Processes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

_SECONDS = 30.0


def _mails(folder: Path) -> list[EmailMessage]:
    """The mails of all files in `folder`, each of which ends with a line of dashes."""
    found = []
    for file in folder.glob("*.log"):
        for raw in file.read_bytes().split(b"\n" + b"-" * 79 + b"\n"):
            if raw.strip():
                found.append(message_from_bytes(raw.lstrip(), policy=policy.default))
    return [mail for mail in found if isinstance(mail, EmailMessage)]


def _wait_for_mails(folder: Path, *, number: int) -> list[EmailMessage]:
    until = time.monotonic() + _SECONDS
    while len(mails := _mails(folder)) < number:
        assert time.monotonic() < until, [mail["Subject"] for mail in mails]
        time.sleep(0.1)
    return mails


def test_an_order_over_http_is_paid_and_the_customer_gets_both_mails(
    processes: Processes,
) -> None:
    ada = make_customer(email="ada@example.com", full_name="Ada Lovelace")
    mug = make_product(name="Blue mug", stock=5)
    processes.start_all()

    answer = httpx.post(
        f"{processes.web_url}/api/v1/orders",
        headers={"Authorization": f"Bearer {tokens_for(ada).access}"},
        json={
            "items": [{"product_id": str(mug.id), "quantity": 2}],
            "shipping_address": {k: v for k, v in ADDRESS.items() if v},
            "payment": {"provider": "sandbox", "token": "tok_success"},
        },
        timeout=20,
        trust_env=False,
    )
    assert answer.status_code == 201, answer.text
    order = answer.json()
    mails = _wait_for_mails(processes.mail, number=2)

    sent = Notification.objects.filter(channel="email", order_id=order["id"])
    expected = dict(sent.values_list("kind", "message_id"))
    assert set(expected) == {"order_placed", "order_paid"}
    assert sorted(mail["Message-ID"] for mail in mails) == sorted(expected.values())
    for mail in mails:
        assert mail["To"] == "ada@example.com"
        assert order["number"] in mail["Subject"]
        assert f"<order-{order['id']}@" in mail["References"]
        assert [part.get_content_type() for part in mail.iter_parts()] == [
            "text/plain",
            "text/html",
        ]
    [placed] = [mail for mail in mails if mail["Message-ID"] == expected["order_placed"]]
    for kind in ("plain", "html"):
        body = placed.get_body(preferencelist=(kind,))
        assert body is not None
        text = body.get_content()
        assert order["number"] in text
        assert "Blue mug" in text
        assert "39.80" in text
