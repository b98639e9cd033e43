"""The provider's webhooks, as they reach a real receiver."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest

from payments.gateways.base import (
    ChargeResult,
    ChargeStatus,
    Gateway,
    InvalidProviderEvent,
    ProviderEvent,
    RefundResult,
    RefundStatus,
)
from payments.gateways.registry import gateway_for
from payments.signatures import InvalidSignature, sign
from payments.tests.conftest import Connect
from payments.tests.sandbox_process import (
    WEBHOOK_SECRET,
    Received,
    SandboxProcess,
    WebhookReceiver,
    eventually,
)

PRICE = Decimal("20.00")


def sending_webhooks(folder: Path, receiver: WebhookReceiver) -> SandboxProcess:
    """A provider that sends webhooks to `receiver`, with pauses of a twentieth of a second."""
    flags = ("--webhook-url", receiver.url, "--webhook-retry-seconds", "0.05")
    return SandboxProcess(folder, *flags)


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[SandboxProcess, WebhookReceiver]]:
    with (
        WebhookReceiver() as receiver,
        sending_webhooks(tmp_path_factory.mktemp("sending"), receiver) as process,
    ):
        yield process, receiver


@pytest.fixture
def receiver(shared: tuple[SandboxProcess, WebhookReceiver]) -> WebhookReceiver:
    """The shared receiver, empty; each test waits for all webhooks that it causes."""
    receiver = shared[1]
    receiver.received.clear()
    receiver.answers.clear()
    return receiver


@pytest.fixture
def sender(shared: tuple[SandboxProcess, WebhookReceiver]) -> SandboxProcess:
    """The shared provider, which sends its webhooks to `receiver`."""
    return shared[0]


@pytest.fixture
def own_sender(tmp_path: Path, receiver: WebhookReceiver) -> Iterator[SandboxProcess]:
    """A provider of its own for a test that ends it."""
    with sending_webhooks(tmp_path, receiver) as process:
        yield process


def charge(gateway: Gateway, token: str, *, capture: bool = True) -> tuple[str, ChargeResult]:
    key = str(uuid4())
    result = gateway.charge(
        key=key, amount=PRICE, currency="EUR", token=token, capture=capture, reference="order-1"
    )
    return key, result


def event_in(received: Received) -> ProviderEvent:
    return gateway_for("sandbox").parse_event(
        headers=received.headers, body=received.body, now=datetime.now(UTC)
    )


def arrived(receiver: WebhookReceiver, count: int) -> list[ProviderEvent]:
    """The first `count` webhooks, once nothing more comes after them."""
    eventually(lambda: len(receiver.received) >= count)
    time.sleep(0.3)
    assert len(receiver.received) == count
    return [event_in(received) for received in receiver.received]


@pytest.mark.parametrize(
    ("token", "capture", "type", "status"),
    [
        ("tok_success", True, "charge.captured", ChargeStatus.CAPTURED),
        ("tok_success", False, "charge.authorized", ChargeStatus.AUTHORIZED),
        ("tok_declined", True, "charge.declined", ChargeStatus.DECLINED),
    ],
)
def test_each_result_of_a_charge_is_sent_once_and_signed(
    connect: Connect,
    sender: SandboxProcess,
    receiver: WebhookReceiver,
    token: str,
    capture: bool,
    type: str,
    status: ChargeStatus,
) -> None:
    key, result = charge(connect(sender), token, capture=capture)

    [report] = arrived(receiver, 1)

    assert (report.type, report.key, report.result) == (type, key, result)
    assert result.status is status
    assert abs(datetime.now(UTC) - report.occurred_at) < timedelta(seconds=10)


def test_captures_voids_and_refunds_are_sent(
    connect: Connect, sender: SandboxProcess, receiver: WebhookReceiver
) -> None:
    gateway = connect(sender)
    _, captured = charge(gateway, "tok_success", capture=False)
    gateway.capture(
        key=str(uuid4()),
        provider_reference=captured.provider_reference,
        amount=PRICE,
        currency="EUR",
    )
    refund = gateway.refund(
        key=(refund_key := str(uuid4())),
        provider_reference=captured.provider_reference,
        amount=PRICE,
        currency="EUR",
        reason="",
    )
    _, voided = charge(gateway, "tok_success", capture=False)
    gateway.void(key=str(uuid4()), provider_reference=voided.provider_reference)

    reports = {report.type: report for report in arrived(receiver, 5)}

    assert set(reports) == {
        "charge.authorized",
        "charge.captured",
        "charge.voided",
        "refund.succeeded",
    }
    assert reports["refund.succeeded"].key == refund_key
    assert reports["refund.succeeded"].result == refund


def test_a_failed_refund_is_sent_as_failed(
    connect: Connect, sender: SandboxProcess, receiver: WebhookReceiver
) -> None:
    gateway = connect(sender)
    _, charged = charge(gateway, "tok_refund_fails")
    gateway.refund(
        key=str(uuid4()),
        provider_reference=charged.provider_reference,
        amount=PRICE,
        currency="EUR",
        reason="",
    )

    result = arrived(receiver, 2)[1].result

    assert isinstance(result, RefundResult)
    assert result.status is RefundStatus.FAILED


def test_a_replayed_key_sends_no_webhook(
    connect: Connect, sender: SandboxProcess, receiver: WebhookReceiver
) -> None:
    gateway = connect(sender)
    key = str(uuid4())
    for _ in range(3):
        gateway.charge(
            key=key,
            amount=PRICE,
            currency="EUR",
            token="tok_success",
            capture=True,
            reference="order-1",
        )

    assert len(arrived(receiver, 1)) == 1


@pytest.mark.parametrize(
    ("capture", "types"),
    [
        (True, ["charge.captured", "charge.authorized", "charge.captured"]),
        (False, ["charge.authorized", "charge.pending", "charge.authorized"]),
    ],
)
def test_duplicate_webhooks_have_one_id_and_arrive_out_of_order(
    connect: Connect,
    sender: SandboxProcess,
    receiver: WebhookReceiver,
    capture: bool,
    types: list[str],
) -> None:
    key, result = charge(connect(sender), "tok_duplicate_webhook", capture=capture)

    first, stale, repeated = arrived(receiver, 3)

    assert [first.type, stale.type, repeated.type] == types
    assert repeated == first
    assert first.result == result
    assert stale.id != first.id
    assert stale.key == key
    assert stale.occurred_at < first.occurred_at
    if capture:
        assert isinstance(stale.result, ChargeResult)
        assert stale.result.captured_amount == 0
    else:
        assert stale.result is None


def test_a_capture_with_duplicate_webhooks_is_sent_before_its_authorization(
    connect: Connect, sender: SandboxProcess, receiver: WebhookReceiver
) -> None:
    gateway = connect(sender)
    _, charged = charge(gateway, "tok_duplicate_webhook", capture=False)
    gateway.capture(
        key=str(uuid4()),
        provider_reference=charged.provider_reference,
        amount=PRICE,
        currency="EUR",
    )

    types = [report.type for report in arrived(receiver, 6)[3:]]

    assert types == ["charge.captured", "charge.authorized", "charge.captured"]


def test_a_rejected_webhook_is_sent_again_with_its_id_until_it_is_accepted(
    connect: Connect, sender: SandboxProcess, receiver: WebhookReceiver
) -> None:
    receiver.answers = [500, 401, 302]
    charge(connect(sender), "tok_success")

    reports = arrived(receiver, 4)

    assert len({report.id for report in reports}) == 1


@pytest.mark.parametrize("end", [SandboxProcess.stop, SandboxProcess.kill])
def test_webhooks_survive_a_restart_of_the_provider(
    connect: Connect,
    own_sender: SandboxProcess,
    receiver: WebhookReceiver,
    end: Callable[[SandboxProcess], object],
) -> None:
    receiver.answers = [503] * 3
    key, _ = charge(connect(own_sender), "tok_success")
    eventually(lambda: receiver.received)
    end(own_sender)
    refused = len(receiver.received)
    receiver.answers = []

    own_sender.start()

    eventually(lambda: len(receiver.received) > refused)
    assert event_in(receiver.received[-1]).key == key
    eventually(
        lambda: own_sender.rows("SELECT count(*) FROM webhooks WHERE delivered_at > 0") == [(1,)]
    )


def test_webhooks_in_flight_at_sigterm_are_delivered_before_the_end(
    connect: Connect, own_sender: SandboxProcess, receiver: WebhookReceiver
) -> None:
    gateway = connect(own_sender)
    for _ in range(5):
        charge(gateway, "tok_success")
    os.kill(own_sender.pid, signal.SIGTERM)

    assert own_sender.stop() == 0

    delivered = own_sender.rows("SELECT count(*) FROM webhooks WHERE delivered_at > 0")
    assert delivered == [(len(receiver.received),)]


def signed(body: bytes, *, at: datetime | None = None) -> dict[str, str]:
    timestamp = int((at or datetime.now(UTC)).timestamp())
    return {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(timestamp),
        "Webhook-Signature": sign(
            secret=WEBHOOK_SECRET, id="msg_1", timestamp=timestamp, body=body
        ),
    }


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"\xff",
        b'{"type": "charge.captured"}',
        b'{"type": "charge.captured", "created_at": "yesterday", "data": {}}',
        json.dumps(
            {
                "type": "charge.captured",
                "created_at": "2026-11-21T10:00:00Z",
                "data": {"idempotency_key": "k", "status": "exploded"},
            }
        ).encode(),
    ],
)
def test_a_signed_webhook_of_an_unknown_form_is_rejected(gateway: Gateway, body: bytes) -> None:
    with pytest.raises(InvalidProviderEvent):
        gateway.parse_event(headers=signed(body), body=body, now=datetime.now(UTC))


def test_a_webhook_with_a_changed_body_is_rejected(gateway: Gateway) -> None:
    with pytest.raises(InvalidSignature):
        gateway.parse_event(headers=signed(b"{}"), body=b"{ }", now=datetime.now(UTC))
