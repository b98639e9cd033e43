"""The provider's books: writes that are committed together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from payments.sandbox.ledger import Ledger
from payments.sandbox.reading import ChargeRequest
from payments.sandbox.refusals import Refusal

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
