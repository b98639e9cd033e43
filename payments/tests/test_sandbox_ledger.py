"""The provider's books: writes that are committed together."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import DEFAULT, AsyncMock, Mock, patch

import pytest

from payments.sandbox.errors import Refusal
from payments.sandbox.ledger import Ledger
from payments.sandbox.request_parsing import ChargeRequest
from payments.sandbox.webhooks import Receiver, WebhookDispatcher

REQUEST = ChargeRequest(
    amount=1250, currency="EUR", token="tok_success", capture=True, reference="r", metadata={}
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path / "ledger.sqlite3")) as ledger:
        yield ledger


def charge(ledger: Ledger, key: str) -> str:
    done, _ = ledger.record_charge(key=key, fingerprint="f", request=REQUEST, doubled=False)
    return str(done["id"])


def test_a_write_that_is_refused_amid_others_leaves_them_alone(ledger: Ledger) -> None:
    with ledger.together():
        first = charge(ledger, "one")
        with pytest.raises(Refusal):
            ledger.record_refund(
                key="too much",
                fingerprint="f",
                charge_id=first,
                amount=1251,
                reason="",
                doubled=False,
            )
        charge(ledger, "two")

    assert [entry["idempotency_key"] for _, entry in ledger.charges(after=0, limit=9)] == [
        "one",
        "two",
    ]
    assert ledger.refund_with_key(key="too much") is None
    assert len(ledger.outbox.due(busy=(), limit=9)) == 2


def test_of_writes_that_cannot_be_committed_none_is_in_the_books(ledger: Ledger) -> None:
    def write() -> None:
        with ledger.together():
            charge(ledger, "one")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()

    assert ledger.charges(after=0, limit=9) == []
    assert ledger.outbox.due(busy=(), limit=9) == []


def test_a_note_that_fails_leaves_no_transaction_open(ledger: Ledger) -> None:
    charge(ledger, "one")
    delivery, *_ = ledger.outbox.due(busy=(), limit=9)
    no_number: Any = object()
    odd = replace(delivery, position=no_number)

    with pytest.raises(sqlite3.Error):
        ledger.outbox.delivered([delivery, odd])
    charge(ledger, "two")

    assert len(ledger.outbox.due(busy=(), limit=9)) == 2


async def _delivered_at_the_second_try(ledger: Ledger, note: Mock) -> None:
    poster = Mock(post=AsyncMock(return_value=204))
    with patch("payments.sandbox.webhooks.HttpClient", return_value=poster):
        courier = WebhookDispatcher(
            outbox=ledger.outbox, receiver=Receiver(url="http://x", secret="s")
        )
    courier.start()
    while note.call_count < 2:
        await asyncio.sleep(0.01)
    await courier.stop(seconds=5)


def test_a_delivery_that_could_not_be_noted_is_noted_later(ledger: Ledger) -> None:
    charge(ledger, "one")
    noting = [sqlite3.OperationalError("disk full"), DEFAULT]
    note = Mock(wraps=ledger.outbox.delivered, side_effect=noting)

    with patch.object(ledger.outbox, "delivered", note):
        asyncio.run(asyncio.wait_for(_delivered_at_the_second_try(ledger, note), 10))

    assert ledger.outbox.due(busy=(), limit=9) == []
