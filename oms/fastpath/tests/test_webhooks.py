"""Webhooks of payment providers on the hot lane."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings
from rest_framework.test import APIClient

from oms.core import clock
from oms.core.ids import new_id
from oms.fastpath.dispatch import _fixed_headers
from oms.fastpath.tests.calls import statuses, terminate_own_connection
from oms.fastpath.types import FastPathRequest
from oms.fastpath.webhooks import HotWebhook, accept_webhook, hear, is_webhook
from oms.testing.factories import actor_for, make_product, make_staff
from oms.testing.ordering import payment_of, place, report, settle
from payments.models import Payment, ProviderMessage
from payments.operations.refunds import request_refund
from payments.signatures import sign

pytestmark = pytest.mark.django_db

URL = "/api/v1/payments/webhooks/sandbox"


def reporting(
    payment: Payment, status: str = "captured", *, id: str = "", **changes: Any
) -> FastPathRequest:
    """A signed webhook about the payment; `changes` are other fields of the request."""
    id = id or f"msg_{new_id()}"
    captured = payment.amount if status == "captured" else 0
    data = {
        "id": f"ch_{payment.id}",
        "idempotency_key": str(payment.id),
        "status": status,
        "amount": f"{payment.amount:.2f}",
        "currency": payment.currency,
        "captured_amount": f"{captured:.2f}",
        "refunded_amount": "0.00",
        "decline_code": "card_declined" if status == "declined" else None,
        "decline_message": None,
    }
    return signed(f"charge.{status}", data, id=id, **changes)


def signed(type: str, data: dict[str, Any], *, id: str, **changes: Any) -> FastPathRequest:
    """A webhook with a good signature; `changes` are other fields of the request."""
    said = {"id": id, "type": type, "created_at": clock.now().isoformat()}
    body = json.dumps({**said, "data": data}).encode()
    timestamp = int(time.time())
    signature = sign(secret=settings.SANDBOX_WEBHOOK_SECRET, id=id, timestamp=timestamp, body=body)
    fields: dict[str, Any] = {
        "method": "POST",
        "path": URL,
        "query": b"",
        "headers": {
            "host": "testserver",
            "webhook-id": id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature,
        },
        "body": body,
        "scheme": "http",
        "remote_address": "127.0.0.1",
    }
    return FastPathRequest(**{**fields, **changes})


def accepted(request: FastPathRequest) -> HotWebhook:
    call = accept_webhook(request)
    assert call is not None
    return call


def ordered(count: int) -> list[Payment]:
    return [payment_of(place((make_product(), 1), token="tok_success")) for _ in range(count)]


@pytest.fixture
def nothing_remembered() -> Iterator[None]:
    """What depends on settings is found out anew, now and after the test."""
    _fixed_headers.cache_clear()
    yield
    _fixed_headers.cache_clear()


def test_only_posts_to_the_webhooks_are_webhooks() -> None:
    assert is_webhook("POST", URL)
    assert not is_webhook("GET", URL)
    assert not is_webhook("POST", "/api/v1/orders")


def test_many_webhooks_take_effect_together() -> None:
    captured, declined, untold = ordered(3)

    answers = hear([accepted(reporting(captured)), accepted(reporting(declined, "declined"))])

    assert statuses(answers) == [204, 204]
    assert all(answer is not None and answer.headers["X-Request-ID"] for answer in answers)
    for payment in (captured, declined, untold):
        payment.refresh_from_db()
    assert [captured.status, declined.status, untold.status] == ["captured", "failed", "created"]
    assert ProviderMessage.objects.count() == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"body": b"{}"},
        {"headers": {}},
        {"path": "/api/v1/payments/webhooks/paypenny"},
        {"body": b"x" * 70_000},
    ],
)
def test_what_is_not_in_good_order_is_left_to_django(changes: dict[str, Any]) -> None:
    [payment] = ordered(1)

    assert accept_webhook(reporting(payment, **changes)) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("host", "elsewhere.example"),
        ("accept", "text/html"),
        ("content-encoding", "gzip"),
        ("x-request-timeout-ms", "soon"),
    ],
)
def test_headers_that_only_django_knows_leave_a_webhook_to_it(name: str, value: str) -> None:
    [payment] = ordered(1)
    request = reporting(payment)

    assert accept_webhook(replace(request, headers={**request.headers, name: value})) is None
    assert accept_webhook(replace(request, query=b"x=1")) is None
    assert accept_webhook(request) is not None


@pytest.mark.usefixtures("nothing_remembered")
def test_a_webhook_over_plain_http_is_left_to_django_where_https_is_asked_for(
    settings: Settings,
) -> None:
    settings.SECURE_SSL_REDIRECT = True
    [payment] = ordered(1)

    assert accept_webhook(reporting(payment)) is None
    assert accept_webhook(reporting(payment, scheme="https")) is not None


def test_a_webhook_is_answered_with_the_headers_of_django() -> None:
    one, other = (reporting(payment) for payment in ordered(2))

    by_django = APIClient().generic(
        "POST",
        URL,
        one.body.decode(),
        content_type="application/json",
        headers=dict(one.headers),
    )
    [by_lane] = hear([accepted(other)])

    assert by_lane is not None
    assert by_lane.status == by_django.status_code == 204
    # No 204 may have a Content-Length (RFC 9110, section 8.6).
    assert {**by_lane.headers, "X-Request-ID": ""} == {
        **{n: v for n, v in by_django.headers.items() if n != "Content-Length"},
        "X-Request-ID": "",
    }


def test_the_same_message_twice_in_a_batch_and_once_more_later_is_one() -> None:
    [payment] = ordered(1)
    calls = [accepted(reporting(payment, id="msg_1")) for _ in range(2)]

    assert statuses(hear(calls)) == [204, 204]
    assert statuses(hear(calls[:1])) == [204]

    assert ProviderMessage.objects.count() == 1
    settle()
    payment.refresh_from_db()
    assert payment.status == "captured"


def test_two_pieces_of_news_of_one_payment_in_a_batch_are_taken_in_their_order() -> None:
    [payment] = ordered(1)

    hear([accepted(reporting(payment, "authorized")), accepted(reporting(payment, "captured"))])

    payment.refresh_from_db()
    assert payment.status == "captured"
    assert ProviderMessage.objects.count() == 2


def test_late_news_leads_no_payment_back() -> None:
    [payment] = ordered(1)

    hear([accepted(reporting(payment, "captured")), accepted(reporting(payment, "declined"))])

    payment.refresh_from_db()
    assert payment.status == "captured"


def test_a_webhook_that_cannot_be_stored_leaves_the_batch_to_django() -> None:
    good, bad = ordered(2)
    call = accepted(reporting(bad, id="m" * 300))

    assert hear([accepted(reporting(good)), call]) == [None, None]

    assert not ProviderMessage.objects.exists()
    good.refresh_from_db()
    assert good.status == "created"


def test_many_webhooks_take_as_many_statements_as_one() -> None:
    def statements(count: int) -> int:
        calls = [accepted(reporting(payment)) for payment in ordered(count)]
        with CaptureQueriesContext(connection) as captured:
            assert statuses(hear(calls)) == [204] * count
        return len(captured)

    assert statements(50) == statements(1)


def test_payments_of_charges_and_of_refunds_are_locked_in_one_order() -> None:
    [first] = ordered(1)
    hear([accepted(reporting(first))])
    refund = request_refund(actor=actor_for(make_staff()), payment_id=first.id)
    [charged] = ordered(1)
    told = {
        "id": "re_1",
        "idempotency_key": str(refund.id),
        "status": "succeeded",
        "charge_id": "ch_1",
        "amount": f"{refund.amount:.2f}",
    }
    calls = [
        accepted(reporting(charged)),
        accepted(signed("refund.succeeded", told, id="msg_refund")),
    ]

    with CaptureQueriesContext(connection) as captured:
        assert statuses(hear(calls)) == [204, 204]

    locking = [query["sql"] for query in captured if "FOR NO KEY UPDATE" in query["sql"]]
    assert first.id.hex in locking[0]
    assert charged.id.hex in locking[0]
    assert "ORDER BY id" in locking[0]
    refund.refresh_from_db()
    charged.refresh_from_db()
    assert (refund.status, charged.status) == ("succeeded", "captured")


def test_news_that_is_known_locks_nothing() -> None:
    order = place((make_product(), 1), token="tok_success")
    report(order)

    with CaptureQueriesContext(connection) as captured:
        hear([accepted(reporting(payment_of(order)))])

    assert not [query for query in captured if "FOR NO KEY UPDATE" in query["sql"]]
    assert ProviderMessage.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_lost_connection_costs_one_batch_and_no_more() -> None:
    [payment] = ordered(1)
    calls = [accepted(reporting(payment))]
    terminate_own_connection()

    assert statuses(hear(calls)) == [None]
    assert statuses(hear(calls)) == [204]
