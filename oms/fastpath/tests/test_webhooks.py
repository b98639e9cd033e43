"""Batches of webhooks: one transaction, in which each takes effect as it would alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from oms.core.ids import new_id
from oms.events.models import Event
from oms.fastpath.batches import answer_batch
from oms.fastpath.calls import FastPathCall
from oms.fastpath.middleware import _headers, _layers
from oms.fastpath.requests import FastPathRequest
from oms.fastpath.routes import find_route
from oms.fastpath.tests.calls import (
    accepted,
    call_of,
    request,
    statuses,
    terminate_own_connection,
    token_of,
)
from oms.fastpath.tests.parity import compared
from oms.testing.factories import actor_for, api_client, make_product, make_staff
from oms.testing.fastpath import FastPathClient
from oms.testing.ordering import payment_of, place, report
from oms.testing.webhooks import WEBHOOKS, charge_of, refund_of, signed_headers, webhook_body
from payments.models import Payment, ProviderMessage, Refund
from payments.operations.refunds import request_refund

pytestmark = pytest.mark.django_db


def signed(body: bytes, *, id: str, path: str = WEBHOOKS, **headers: str) -> FastPathRequest:
    """A request with the signed body; `headers` with underscores for hyphens."""
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return FastPathRequest(
        method="POST",
        path=path,
        query=b"",
        headers={
            "host": "testserver",
            "content-type": "application/json",
            "content-length": str(len(body)),
            **signed_headers(body, id=id),
            **more,
        },
        body=body,
        scheme="http",
        client=("127.0.0.1", 0),
        arrived=time.monotonic(),
    )


def reporting(payment: Payment, status: str = "captured", *, id: str = "") -> FastPathCall:
    """A call that reports the payment's charge."""
    id = id or f"msg_{new_id()}"
    body = webhook_body(charge_of(payment, status), type=f"charge.{status}", id=id)
    return accepted(signed(body, id=id))


def payments(count: int) -> list[Payment]:
    return [payment_of(place((make_product(), 1), token="tok_success")) for _ in range(count)]


def status_of(payment: Payment) -> str:
    payment.refresh_from_db()
    return payment.status


def test_many_webhooks_take_effect_together() -> None:
    captured, declined, other = payments(3)

    answers = answer_batch([reporting(captured), reporting(declined, "declined")])

    assert statuses(answers) == [204, 204]
    assert [status_of(one) for one in (captured, declined, other)] == [
        *("captured", "failed", "created")
    ]
    assert ProviderMessage.objects.count() == 2


def test_many_webhooks_take_as_many_statements_as_one() -> None:
    def sent(count: int) -> int:
        calls = [reporting(payment) for payment in payments(count)]
        with CaptureQueriesContext(connection) as captured:
            assert statuses(answer_batch(calls)) == [204] * count
        return len(captured)

    assert sent(50) == sent(1)


def test_webhooks_with_an_invalid_signature_are_left_to_django_and_the_others_are_not() -> None:
    good, other = payments(2)
    forged = reporting(other)
    forged.request.body = forged.request.body.replace(b"captured", b"declined", 1)

    assert statuses(answer_batch([forged, reporting(good), forged])) == [None, 204, None]

    assert [status_of(good), status_of(other)] == ["captured", "created"]
    assert ProviderMessage.objects.count() == 1


def test_webhooks_without_a_valid_signature_cause_no_statement() -> None:
    [payment] = payments(1)
    forged = reporting(payment)
    forged.request.body += b" "

    with CaptureQueriesContext(connection) as captured:
        assert statuses(answer_batch([forged] * 3)) == [None] * 3

    assert not captured.captured_queries


def test_a_webhook_that_cannot_be_stored_is_left_to_django_and_the_others_are_not() -> None:
    good, bad, last = payments(3)
    calls = [reporting(good), reporting(bad, id="m" * 300), reporting(last)]

    assert statuses(answer_batch(calls)) == [204, None, 204]

    assert [status_of(one) for one in (good, bad, last)] == ["captured", "created", "captured"]


def test_a_repeated_message_in_one_batch_or_in_two_is_applied_once() -> None:
    [payment] = payments(1)
    calls = [reporting(payment, id="msg_1") for _ in range(2)]

    assert statuses(answer_batch(calls)) == [204, 204]
    assert statuses(answer_batch(calls[:1])) == [204]

    assert ProviderMessage.objects.count() == 1
    assert status_of(payment) == "captured"


def test_webhooks_of_one_payment_are_applied_in_their_order() -> None:
    first, second = payments(2)

    answer_batch(
        [
            reporting(first, "authorized"),
            reporting(second, "captured"),
            reporting(first, "captured"),
            reporting(second, "declined"),
            reporting(second, "authorized"),
        ]
    )

    assert [status_of(first), status_of(second)] == ["captured", "captured"]
    assert facts(first) == ["payment.requested", "payment.authorized", "payment.captured"]
    assert facts(second) == ["payment.requested", "payment.captured"]


def facts(payment: Payment) -> list[str]:
    events = Event.objects.filter(object_id=payment.id).order_by("position")
    return list(events.values_list("type", flat=True))


def test_webhooks_of_others_are_accepted_and_ignored() -> None:
    [payment] = payments(1)
    calls = []
    for key in ("somebody-elses", str(new_id())):
        data = {**charge_of(payment), "idempotency_key": key}
        body = webhook_body(data, type="charge.captured", id=key)
        calls.append(accepted(signed(body, id=key)))

    assert statuses(answer_batch([*calls, reporting(payment)])) == [204, 204, 204]

    assert status_of(payment) == "captured"
    assert ProviderMessage.objects.count() == 3


def test_webhooks_that_report_known_statuses_lock_nothing() -> None:
    order = place((make_product(), 1), token="tok_success")
    report(order)

    with CaptureQueriesContext(connection) as captured:
        answer_batch([reporting(payment_of(order))])

    assert not [query for query in captured if "FOR NO KEY UPDATE" in query["sql"]]
    assert ProviderMessage.objects.count() == 1


def test_payments_of_charges_and_of_refunds_are_locked_in_one_order() -> None:
    refunded, charged = payments(2)
    answer_batch([reporting(refunded)])
    requested = request_refund(actor=actor_for(make_staff()), payment_id=refunded.id)
    refund = Refund.objects.get(pk=requested.id)
    body = webhook_body(refund_of(refund), type="refund.succeeded", id="msg_refund")
    calls = [reporting(charged), accepted(signed(body, id="msg_refund"))]

    with CaptureQueriesContext(connection) as captured:
        assert statuses(answer_batch(calls)) == [204, 204]

    locking = [query["sql"] for query in captured if "FOR NO KEY UPDATE" in query["sql"]]
    assert refunded.id.hex in locking[0].replace("-", "")
    assert charged.id.hex in locking[0].replace("-", "")
    assert "ORDER BY id" in locking[0]
    refund.refresh_from_db()
    assert (refund.status, status_of(charged)) == ("succeeded", "captured")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("host", "elsewhere.example"),
        ("content-type", "text/plain"),
        ("content-length", "70000"),
        ("content-encoding", "gzip"),
        ("authorization", "Bearer nonsense"),
        ("idempotency-key", "k"),
        ("x-request-timeout-ms", "soon"),
    ],
)
def test_a_webhook_with_unusual_headers_is_left_to_django(name: str, value: str) -> None:
    [payment] = payments(1)
    call = reporting(payment)
    headers = {**call.request.headers, name: value}

    assert call_of(FastPathRequest(**{**fields(call.request), "headers": headers})) is None
    assert call_of(FastPathRequest(**{**fields(call.request), "query": b"x=1"})) is None


def fields(request: FastPathRequest) -> dict[str, Any]:
    return {name: getattr(request, name) for name in request.__slots__}


@pytest.mark.parametrize("path", [f"{WEBHOOKS}/", f"{WEBHOOKS}x", WEBHOOKS.replace("sandbox", "")])
def test_only_posts_to_known_providers_are_for_the_fast_path(path: str) -> None:
    assert find_route("POST", WEBHOOKS)[0] is not None
    assert find_route("GET", WEBHOOKS)[0] is None
    assert find_route("POST", path)[0] is None
    assert find_route("POST", WEBHOOKS.replace("sandbox", str(new_id())))[0] is None


def test_both_fronts_answer_webhooks_with_the_same_headers() -> None:
    fast: Any = FastPathClient()
    django: Any = api_client()
    by_django, by_fast_path = (
        client.generic(
            "POST",
            WEBHOOKS,
            call.request.body,
            content_type="application/json",
            headers={
                name: value
                for name, value in call.request.headers.items()
                if name.startswith("webhook")
            },
        )
        for client, call in zip((django, fast), map(reporting, payments(2)), strict=True)
    )

    assert fast.taken == [True]
    assert by_fast_path.status_code == by_django.status_code == 204
    assert by_fast_path.content == by_django.content == b""
    assert compared(by_fast_path) == compared(by_django)
    # RFC 9110, section 8.6.
    assert "Content-Length" not in by_fast_path.headers
    assert "RateLimit" not in by_fast_path.headers


@pytest.fixture
def tls_required(settings: Settings) -> Iterator[None]:
    # The middleware is run once for each kind of request.
    for remembered in (_headers, _layers):
        remembered.cache_clear()
    settings.SECURE_SSL_REDIRECT = True
    yield
    for remembered in (_headers, _layers):
        remembered.cache_clear()


@pytest.mark.usefixtures("tls_required")
def test_webhooks_are_accepted_without_tls_and_other_calls_are_not() -> None:
    [payment] = payments(1)

    assert statuses(answer_batch([reporting(payment)])) == [204]
    assert call_of(request("GET", "/api/v1/orders", token=token_of(make_staff()))) is None


@pytest.mark.django_db(transaction=True)
def test_a_lost_connection_fails_one_batch_and_no_more() -> None:
    [payment] = payments(1)
    call = reporting(payment)
    terminate_own_connection()

    [lost] = answer_batch([call])
    assert lost is not None
    assert (lost.status, lost.headers["Retry-After"]) == (503, "1")
    assert statuses(answer_batch([call])) == [204]

    assert status_of(payment) == "captured"
