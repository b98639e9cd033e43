"""POST /payments/webhooks/{provider}: webhooks late, twice and in any order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from oms.core import clock
from oms.core.ids import new_id
from oms.events.models import Event
from oms.testing.factories import actor_for, api_client, make_product, make_staff
from oms.testing.ordering import PROVIDER, paid_order, payment_of, place, report, result
from oms.testing.webhooks import WEBHOOKS, charge_of, refund_of, signed_headers, webhook_body
from payments.models import Payment, ProviderMessage, Refund
from payments.operations.outcomes import record_charge
from payments.operations.refunds import request_refund

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("both_fronts")]

# A charge without an outcome; %s is what is not read of it.
_PENDING = b'{"idempotency_key": "1", "status": "pending", "note": %s}'


def send(
    data: dict[str, Any],
    *,
    type: str = "charge.captured",
    id: str = "msg_1",
    at: datetime | None = None,
    secret: str = "",
    raw: str = "",
) -> Any:
    """Deliver a signed webhook; `raw` replaces the body after it was signed."""
    body = webhook_body(data, type=type, id=id)
    headers = signed_headers(body, id=id, at=at, secret=secret)
    return deliver(raw.encode() or body, headers)


def deliver(body: bytes, headers: Mapping[str, str]) -> Any:
    client: Any = api_client()  # the stubs take texts only
    return client.generic("POST", WEBHOOKS, body, content_type="application/json", headers=headers)


@pytest.fixture
def payment() -> Payment:
    return payment_of(place((make_product(), 1), token="tok_success"))


def facts(payment: Payment) -> list[str]:
    events = Event.objects.filter(object_id=payment.id).order_by("position")
    return list(events.values_list("type", flat=True))


def test_a_webhook_of_a_capture_captures_the_payment(payment: Payment) -> None:
    response = send(charge_of(payment))

    assert (response.status_code, response.content) == (204, b"")
    payment.refresh_from_db()
    assert (payment.status, payment.captured_amount) == ("captured", payment.amount)
    assert (payment.next_attempt_at, payment.lease_until) == (None, None)
    assert facts(payment) == ["payment.requested", "payment.captured"]
    event = Event.objects.get(object_id=payment.id, type="payment.captured")
    assert (event.actor_label, event.request_id) == ("sandbox", "msg_1")


def test_webhooks_are_accepted_without_tls(payment: Payment, settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True

    assert send(charge_of(payment)).status_code == 204


def test_a_repeated_webhook_is_applied_once(payment: Payment) -> None:
    for id in ("msg_1", "msg_1", "msg_2"):
        assert send(charge_of(payment), id=id).status_code == 204

    assert facts(payment) == ["payment.requested", "payment.captured"]
    assert ProviderMessage.objects.count() == 2


def test_a_webhook_that_reports_the_known_status_locks_nothing(payment: Payment) -> None:
    send(charge_of(payment), id="msg_1")

    with CaptureQueriesContext(connection) as captured:
        send(charge_of(payment), id="msg_2")

    assert not [query for query in captured if "FOR NO KEY UPDATE" in query["sql"]]
    assert ProviderMessage.objects.count() == 2


def test_webhooks_out_of_order_never_revert_a_status(payment: Payment) -> None:
    send(charge_of(payment, "captured"), id="msg_2")
    send(charge_of(payment, "authorized"), id="msg_1", type="charge.authorized")
    send(charge_of(payment, "pending"), id="msg_0", type="charge.pending")
    send(charge_of(payment, "declined"), id="msg_3", type="charge.declined")

    payment.refresh_from_db()
    assert payment.status == "captured"
    assert facts(payment) == ["payment.requested", "payment.captured"]


def test_the_response_to_the_call_after_the_webhook_changes_nothing(payment: Payment) -> None:
    send(charge_of(payment))

    assert not record_charge(actor=PROVIDER, payment_id=payment.id, result=result(payment))

    assert facts(payment) == ["payment.requested", "payment.captured"]


def test_a_webhook_of_a_decline_fails_the_payment(payment: Payment) -> None:
    send(charge_of(payment, "declined"), type="charge.declined")

    payment.refresh_from_db()
    assert (payment.status, payment.failure_code) == ("failed", "card_declined")
    assert payment.next_attempt_at is None


def test_a_webhook_of_a_refund_is_applied_once() -> None:
    order = paid_order((make_product(), 1))
    payment = payment_of(order)
    refund = request_refund(actor=actor_for(make_staff()), payment_id=payment.id)
    data = refund_of(refund)

    for id in ("msg_1", "msg_2"):
        assert send(data, type="refund.succeeded", id=id).status_code == 204

    refund.refresh_from_db()
    assert (refund.status, refund.provider_reference) == ("succeeded", "re_1")
    assert Event.objects.filter(object_id=refund.id, type="refund.succeeded").count() == 1
    assert Refund.objects.count() == 1


def test_a_webhook_of_an_unknown_charge_changes_no_payment_of_ours(payment: Payment) -> None:
    for number, key in enumerate(["somebody-elses", str(new_id())]):
        data = {**charge_of(payment), "idempotency_key": key}
        assert send(data, id=f"msg_{number}").status_code == 204

    payment.refresh_from_db()
    assert payment.status == "created"
    assert Payment.objects.filter(origin="provider").count() == 2


def refused(response: Any) -> bool:
    problem = response.json()
    return (response.status_code, problem["code"]) == (401, "invalid_signature")


def test_a_bad_signature_is_refused(payment: Payment) -> None:
    forged = charge_of(payment)

    assert refused(send(forged, secret="not-the-secret"))
    assert refused(send(charge_of(payment, "declined"), raw=json.dumps(forged)))
    assert refused(api_client().post(WEBHOOKS, forged))

    payment.refresh_from_db()
    assert payment.status == "created"
    assert not ProviderMessage.objects.exists()


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_stale_timestamp_is_refused(payment: Payment, minutes: int) -> None:
    assert refused(send(charge_of(payment), at=clock.now() + timedelta(minutes=minutes)))

    payment.refresh_from_db()
    assert payment.status == "created"


def test_an_unknown_provider_is_not_found() -> None:
    response = api_client().post("/api/v1/payments/webhooks/nobody", {})

    assert (response.status_code, response.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("change", "id"),
    [
        ({"note": "\x00"}, "msg_1"),
        ({"note": "\ud800"}, "msg_1"),
        ({"note": float("nan")}, "msg_1"),
        ({}, "m" * 256),
        ({"status": "gone"}, "msg_1"),
        ({"amount": "much"}, "msg_1"),
        ({"captured_amount": "NaN"}, "msg_1"),
        ({"captured_amount": -100}, "msg_1"),
        ({"captured_amount": "12.50"}, "msg_1"),
        ({"captured_amount": 10**18}, "msg_1"),
        ({"currency": "XXX"}, "msg_1"),
        ({"id": "c" * 101}, "msg_1"),
        ({"idempotency_key": "k" * 256}, "msg_1"),
        ({"id": 5}, "msg_1"),
    ],
)
def test_a_signed_webhook_with_invalid_content_is_rejected(
    payment: Payment, change: dict[str, Any], id: str
) -> None:
    response = send({**charge_of(payment), **change}, id=id)

    assert (response.status_code, response.json()["code"]) == (400, "unreadable_news")
    payment.refresh_from_db()
    assert payment.status == "created"


@pytest.mark.parametrize("type", ["charge.\ud800", "charge.\x00", "charge." + "c" * 64])
def test_a_signed_webhook_of_a_type_that_cannot_be_stored_is_rejected(
    payment: Payment, type: str
) -> None:
    response = send(charge_of(payment), type=type)

    assert (response.status_code, response.json()["code"]) == (400, "unreadable_news")
    payment.refresh_from_db()
    assert payment.status == "created"


def test_it_is_rejected_also_where_each_statement_is_sent_by_itself(payment: Payment) -> None:
    """As under a deadline."""
    with CaptureQueriesContext(connection):
        response = send(charge_of(payment), type="charge.\x00")

    assert response.status_code == 400


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"[" * 30_000, id="deep"),
        pytest.param(_PENDING % (b"[" * 30_000 + b"]" * 30_000), id="deep note"),
        pytest.param(_PENDING % b'"\xff"', id="no UTF-8"),
        pytest.param(_PENDING % b"1e999999", id="huge"),
    ],
)
def test_a_signed_webhook_that_cannot_be_read_is_rejected(data: bytes) -> None:
    body = b'{"type": "charge.captured", "created_at": "2026-01-01T00:00:00Z", "data": %s}' % data

    response = deliver(body, signed_headers(body, id="msg_1"))

    assert (response.status_code, response.json()["code"]) == (400, "unreadable_news")


def test_webhooks_ignore_access_tokens(payment: Payment) -> None:
    client = api_client()
    client.credentials(HTTP_AUTHORIZATION="Bearer nonsense")

    response = client.post(WEBHOOKS, {})

    assert refused(response)


def test_only_the_first_capture_is_published(payment: Payment) -> None:
    order = place((make_product(), 1), token="tok_success")

    assert report(order)
    assert not report(order)

    assert facts(payment_of(order)).count("payment.captured") == 1
