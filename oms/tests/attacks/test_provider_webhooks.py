"""Forged, old and repeated webhooks of a payment provider, about a payment that is due."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from django.conf import settings
from django.urls import reverse

from oms.core import clock
from oms.core.ids import new_id
from oms.core.money import to_minor_units
from oms.testing import factories
from oms.testing.factories import make_product
from oms.testing.ordering import payment_of, place
from oms.tests.attacks.shop import database_digest
from payments.models import Payment
from payments.signatures import sign
from payments.states import PaymentStatus

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("both_fronts")]

Headers = dict[str, str]
SECRET = settings.SANDBOX_WEBHOOK_SECRET


@pytest.fixture
def payment() -> Payment:
    return payment_of(place((make_product(), 1), token="tok_success"))


def body_about(payment: Payment, **changes: Any) -> bytes:
    """The body of a webhook: the payment was captured."""
    data = {
        "id": f"ch_{payment.id}",
        "idempotency_key": str(payment.id),
        "status": "captured",
        "amount": to_minor_units(payment.amount, payment.currency),
        "currency": payment.currency,
        "captured_amount": to_minor_units(payment.amount, payment.currency),
        "refunded_amount": 0,
        "decline_code": None,
        "decline_message": None,
        **changes,
    }
    created = clock.now().isoformat()
    return json.dumps({"type": "charge.captured", "created_at": created, "data": data}).encode()


def signed(
    body: bytes, *, secret: str = SECRET, id: str = "", age: int = 0, signed_age: int | None = None
) -> Headers:
    """The headers of a webhook that was sent `age` seconds ago, signed for `signed_age`."""
    id, now = id or str(new_id()), int(clock.now().timestamp())
    sent = now - (age if signed_age is None else signed_age)
    return {
        "webhook-id": id,
        "webhook-timestamp": str(now - age),
        "webhook-signature": sign(secret=secret, id=id, timestamp=sent, body=body),
    }


def deliver(body: bytes, headers: Mapping[str, str]) -> Any:
    client: Any = factories.client_class(raise_request_exception=False)
    path = reverse("payment-webhook", kwargs={"provider": "sandbox"})
    return client.generic(
        "POST", path, body, content_type="application/json", headers=dict(headers)
    )


FORGERIES: dict[str, Callable[[bytes], Headers]] = {
    "no headers": lambda body: {},
    "no id": lambda body: {**signed(body), "webhook-id": ""},
    "no timestamp": lambda body: {**signed(body), "webhook-timestamp": ""},
    "no signature": lambda body: {**signed(body), "webhook-signature": ""},
    "no version": lambda body: _signature(body, lambda text: text.removeprefix("v1,")),
    "another version": lambda body: _signature(body, lambda text: text.replace("v1,", "v2,")),
    "cut": lambda body: _signature(body, lambda text: text[:-4]),
    "only spaces": lambda body: {**signed(body), "webhook-signature": "   "},
    "no base64": lambda body: {**signed(body), "webhook-signature": "v1,\u00e9!"},
    "a hundred wrong ones": lambda body: {
        **signed(body),
        "webhook-signature": " ".join(["v1,AAAA"] * 100),
    },
    "wrong secret": lambda body: signed(body, secret="guess"),
    "empty secret": lambda body: signed(body, secret=""),
    "the API's key": lambda body: signed(body, secret=settings.SANDBOX_API_KEY),
    "of another body": lambda body: signed(body + b" "),
    "of another id": lambda body: {**signed(body), "webhook-id": "other"},
    "six minutes old": lambda body: signed(body, age=360),
    "from the future": lambda body: signed(body, age=-360),
    "old, with a new timestamp": lambda body: signed(body, age=0, signed_age=360),
    "a timestamp with a fraction": lambda body: _timestamp(body, lambda text: f"{text}.9"),
    "a timestamp with a sign": lambda body: _timestamp(body, lambda text: f"+{text}"),
    "a timestamp in other digits": lambda body: _timestamp(
        body, lambda text: "".join(chr(0x660 + int(digit)) for digit in text)
    ),
    "an endless timestamp": lambda body: {**signed(body), "webhook-timestamp": "9" * 400},
}


def _signature(body: bytes, change: Callable[[str], str]) -> Headers:
    headers = signed(body)
    return {**headers, "webhook-signature": change(headers["webhook-signature"])}


def _timestamp(body: bytes, change: Callable[[str], str]) -> Headers:
    headers = signed(body)
    return {**headers, "webhook-timestamp": change(headers["webhook-timestamp"])}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_webhook_is_refused_and_pays_nothing(forgery: str, payment: Payment) -> None:
    body = body_about(payment)
    before = database_digest()

    answer = deliver(body, FORGERIES[forgery](body))

    assert answer.status_code == 401, answer.content
    assert answer.json()["code"] == "invalid_signature"
    assert database_digest() == before
    assert deliver(body, signed(body)).status_code == 204
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.CAPTURED


def test_one_of_two_signatures_is_enough(payment: Payment) -> None:
    """As while the provider replaces its secret."""
    body = body_about(payment)
    headers = signed(body)
    other = signed(body, secret="another", id=headers["webhook-id"])["webhook-signature"]
    both = {**headers, "webhook-signature": f"{other} {headers['webhook-signature']}"}

    assert deliver(body, both).status_code == 204
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.CAPTURED


def test_a_repeated_webhook_changes_nothing(payment: Payment) -> None:
    body = body_about(payment)
    headers = signed(body)
    assert deliver(body, headers).status_code == 204
    before = database_digest()

    for _ in range(3):
        assert deliver(body, headers).status_code == 204

    assert database_digest() == before


def test_an_id_that_was_used_carries_no_other_body(payment: Payment) -> None:
    """Even a provider, or a thief of its secret, applies one id once."""
    first, second = body_about(payment, status="pending"), body_about(payment)
    assert deliver(first, signed(first, id="msg_1")).status_code == 204
    before = database_digest()

    assert deliver(second, signed(second, id="msg_1")).status_code == 204
    assert database_digest() == before


@pytest.mark.parametrize("provider", ["nobody", "stripe", "sandbox2", "SANDBOX", "-"])
def test_other_providers_are_not_there(provider: str, payment: Payment) -> None:
    body = body_about(payment)
    client: Any = factories.client_class(raise_request_exception=False)
    path = reverse("payment-webhook", kwargs={"provider": provider})

    answer = client.generic(
        "POST", path, body, content_type="application/json", headers=signed(body)
    )

    assert answer.status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b"null", b"\xff", b'{"type": 1}', b"[" * 5_000),
        b'{"type":"charge.captured"}',
        b'{"type":"charge.captured","created_at":"2026-11-29T00:00:00Z","data":{"status":"x"}}',
    ],
)
def test_a_signed_body_that_means_nothing_is_refused(body: bytes, payment: Payment) -> None:
    before = database_digest()

    answer = deliver(body, signed(body))

    assert answer.status_code == 400, answer.content
    assert database_digest() == before
