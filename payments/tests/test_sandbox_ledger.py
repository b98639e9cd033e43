"""The provider's ledger: writes that are committed with their webhooks, and the outbox."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import DEFAULT, Mock, patch

import pytest

from payments.sandbox.errors import ApiError
from payments.sandbox.ledger import Ledger
from payments.sandbox.requests import ChargeBody, RefundBody, Write
from payments.sandbox.webhooks import WebhookDispatcher
from payments.tests.sandbox_process import WebhookReceiver

BODY = ChargeBody(amount=1250, currency="EUR", token="tok_success")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path / "ledger.sqlite3")) as ledger:
        yield ledger


def charge(ledger: Ledger, key: str) -> str:
    charged, _ = ledger.record(Write(kind="charge", key=key, fingerprint="f", body=BODY))
    return str(charged["id"])


def test_a_rejected_write_leaves_the_others_alone(ledger: Ledger) -> None:
    body = RefundBody(charge_id=charge(ledger, "one"), amount=1251)
    with pytest.raises(ApiError):
        ledger.record(Write(kind="refund", key="too much", fingerprint="f", body=body))
    charge(ledger, "two")

    assert [entry["idempotency_key"] for _, entry in ledger.charges(after=0, limit=9)] == [
        "one",
        "two",
    ]
    assert ledger.find("refund", "too much") is None
    assert len(ledger.outbox.due(excluding=(), limit=9)) == 2


def test_a_write_whose_webhooks_cannot_be_queued_is_not_recorded(ledger: Ledger) -> None:
    failing = patch.object(ledger.outbox, "put", side_effect=sqlite3.OperationalError)
    with failing, pytest.raises(sqlite3.OperationalError):
        charge(ledger, "one")

    assert ledger.charges(after=0, limit=9) == []
    assert ledger.outbox.due(excluding=(), limit=9) == []


def test_a_delivery_that_cannot_be_recorded_leaves_no_transaction_open(ledger: Ledger) -> None:
    charge(ledger, "one")
    delivery, *_ = ledger.outbox.due(excluding=(), limit=9)
    no_number: Any = object()
    invalid = replace(delivery, position=no_number)

    with pytest.raises(sqlite3.Error):
        ledger.outbox.record_delivered([delivery, invalid])
    charge(ledger, "two")

    assert len(ledger.outbox.due(excluding=(), limit=9)) == 2


def test_a_delivery_that_could_not_be_recorded_is_recorded_later(
    ledger: Ledger, receiver: WebhookReceiver
) -> None:
    charge(ledger, "one")
    effects = [sqlite3.OperationalError("disk full"), DEFAULT]
    record = Mock(wraps=ledger.outbox.record_delivered, side_effect=effects)

    async def deliver() -> None:
        dispatcher = WebhookDispatcher(
            outbox=ledger.outbox, url=receiver.url, secret="s", first_pause=0.1
        )
        running = asyncio.create_task(dispatcher.run())
        while record.call_count < 2:
            await asyncio.sleep(0.01)
        dispatcher.stop()
        await running

    with patch.object(ledger.outbox, "record_delivered", record):
        asyncio.run(asyncio.wait_for(deliver(), 10))

    assert ledger.outbox.due(excluding=(), limit=9) == []
    assert len(receiver.received) == 1
