"""The comparison of payments with the payment provider's ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from oms.reconcile.checks import Finding
from payments.checks import provider_findings
from payments.gateways.base import (
    ChargeResult,
    ChargeStatus,
    GatewayUnknownOutcome,
    LedgerEntry,
)
from payments.gateways.registry import GATEWAYS
from payments.models import Payment

pytestmark = pytest.mark.django_db


class Books:
    """A provider with nothing but a ledger; `fault` is raised instead of returning it."""

    def __init__(self, entries: list[LedgerEntry]) -> None:
        self.entries = entries
        self.fault: Exception | None = None
        self.while_read: Callable[[], object] = lambda: None

    def ledger(self) -> Iterator[LedgerEntry]:
        if self.fault:
            raise self.fault
        self.while_read()
        yield from self.entries

    def change(self, payment: Payment, **values: Any) -> None:
        """Let the provider's charge for `payment` be another."""
        self.entries = [
            replace(entry, charge=replace(entry.charge, **values))
            if entry.key == str(payment.id)
            else entry
            for entry in self.entries
        ]


@pytest.fixture
def books(demo_shop: None, monkeypatch: pytest.MonkeyPatch) -> Books:
    """The demo shop, and a provider whose ledger matches it."""
    books = Books([entry(payment) for payment in Payment.objects.exclude(provider_reference="")])
    monkeypatch.setitem(GATEWAYS, "sandbox", books)
    return books


def entry(payment: Payment, **values: Any) -> LedgerEntry:
    refunded = sum((r.amount for r in payment.refunds.filter(status="succeeded")), Decimal(0))
    charge = ChargeResult(
        status=ChargeStatus.CAPTURED if payment.captured_amount else ChargeStatus.DECLINED,
        provider_reference=payment.provider_reference,
        amount=payment.amount,
        currency=payment.currency,
        captured_amount=payment.captured_amount,
        refunded_amount=refunded,
    )
    return LedgerEntry(key=str(payment.id), charge=replace(charge, **values))


def captured(**values: Any) -> Payment:
    return Payment.objects.filter(status="captured", **values).order_by("id")[0]


def finding(*, offline: bool = False) -> Finding:
    [found] = provider_findings(offline=offline)
    return found


def violations() -> list[tuple[str, str]]:
    return [(violation.id, violation.detail) for violation in finding().violations]


def test_matching_ledgers_are_no_violation(books: Books) -> None:
    assert violations() == []


def test_a_capture_missing_at_the_provider_is_found(books: Books) -> None:
    payment = captured()
    books.entries = [entry for entry in books.entries if entry.key != str(payment.id)]

    assert violations() == [
        (
            str(payment.id),
            f"we captured {payment.amount}, and the provider has no such charge",
        )
    ]


def test_a_capture_missing_in_our_database_is_found(books: Books) -> None:
    key = str(uuid4())
    books.entries.append(replace(entry(captured()), key=key))

    [(id, detail)] = violations()

    assert id == key
    assert "we have no such payment" in detail


def test_a_second_capture_for_an_order_is_found(books: Books) -> None:
    payment = captured()
    second = Payment.objects.create(
        order_id=payment.order_id,
        provider="sandbox",
        token="tok_success",
        amount=payment.amount,
        currency=payment.currency,
        status="failed",
    )
    charged = {"status": ChargeStatus.CAPTURED, "captured_amount": payment.amount}
    books.entries.append(entry(second, **charged))

    assert violations() == [
        (
            str(second.id),
            f"the provider captured {payment.amount}, and our payment is failed",
        ),
    ]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"captured_amount": Decimal("0.01")}, "the provider 0.01"),
        ({"amount": Decimal("9999.00")}, "the provider's of 9999.00"),
        ({"currency": "USD"}, "USD"),
        ({"refunded_amount": Decimal("0.01")}, "the provider refunded 0.01, we requested 0.00"),
    ],
)
def test_a_charge_with_another_amount_or_currency_is_found(
    books: Books, values: dict[str, Any], said: str
) -> None:
    payment = captured(refunded_amount=0)
    books.change(payment, **values)

    [(id, detail)] = violations()

    assert id == str(payment.id)
    assert said in detail


def test_a_refund_missing_at_the_provider_is_found(books: Books) -> None:
    payment = Payment.objects.filter(refunds__status="succeeded").first()
    assert payment is not None
    books.change(payment, refunded_amount=Decimal(0))

    [(id, detail)] = violations()

    assert id == str(payment.id)
    assert detail.startswith("we refunded")


def test_a_payment_in_progress_is_no_violation(books: Books) -> None:
    payment = Payment.objects.filter(status="unknown")[0]
    charged = {"status": ChargeStatus.CAPTURED, "captured_amount": payment.amount}
    books.entries.append(entry(payment, **charged))

    assert violations() == []


def test_a_payment_captured_while_the_ledgers_are_read_is_no_violation(
    books: Books,
) -> None:
    payment = Payment.objects.filter(status="unknown")[0]

    def capture() -> None:
        Payment.objects.filter(pk=payment.pk).update(
            status="captured", captured_amount=payment.amount
        )

    books.while_read = capture

    assert violations() == []


def test_an_unreachable_provider_is_a_violation(books: Books) -> None:
    books.fault = GatewayUnknownOutcome("ConnectError")

    [(id, detail)] = violations()

    assert id == "sandbox"
    assert "--offline" in detail


def test_offline_skips_such_a_provider_visibly(books: Books) -> None:
    books.fault = GatewayUnknownOutcome("ConnectError")

    found = finding(offline=True)

    assert found.holds
    assert found.skipped == "sandbox is unavailable: ConnectError"


def test_offline_still_checks_a_reachable_provider(books: Books) -> None:
    books.change(captured(), currency="USD")

    assert finding(offline=True).total == 1
