"""What people do at the provider, and what `reconcile --repair` takes over from its ledger."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
from django.db import connection

from oms.checks import repair
from oms.exceptions.models import ExceptionRecord
from oms.testing.factories import make_product
from oms.testing.ordering import PROVIDER, payment_of, place, settle
from orders.models import Order
from payments.checks import provider_findings
from payments.gateways.base import Gateway, RefundStatus
from payments.models import Payment, Refund
from payments.operations.outcomes import record_charge
from payments.sandbox.imports import import_past
from payments.tests.conftest import Connect
from payments.tests.sandbox_process import SandboxProcess
from payments.tests.sandbox_wire import BODY, client_of, code, post

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """A provider of its own, which sends no webhooks."""
    with SandboxProcess(tmp_path_factory.mktemp("provider")) as process:
        yield process


@pytest.fixture
def provider(running: SandboxProcess) -> SandboxProcess:
    """The same, with nothing in its ledger."""
    import_past(running.folder / "ledger.sqlite3", charges=[], refunds=[])
    return running


@pytest.fixture
def own_gateway(connect: Connect, provider: SandboxProcess) -> Gateway:
    return connect(provider)


@pytest.fixture
def api(provider: SandboxProcess) -> Iterator[httpx.Client]:
    with client_of(provider) as client:
        yield client


def charged(gateway: Gateway, *, captures: bool = True, is_known: bool = True) -> Order:
    """An order of 100.00 whose payment was charged; `is_known` to us."""
    order = place((make_product(price=Decimal("100.00")), 1), token="tok_success")
    payment = payment_of(order)
    result = gateway.charge(
        key=str(payment.id),
        amount=payment.amount,
        currency=payment.currency,
        token=payment.token,
        capture=captures,
        reference=str(order.id),
    )
    assert result.reference == str(order.id)
    if is_known:
        record_charge(actor=PROVIDER, payment_id=payment.id, result=result)
        settle()
    return order


def violations() -> list[str]:
    [finding] = provider_findings(offline=False)
    return [violation.detail for violation in finding.violations]


def state(order: Order) -> str:
    order.refresh_from_db()
    return str(order.payment_status)


def test_a_refund_of_others_is_imported(own_gateway: Gateway, api: httpx.Client) -> None:
    order = charged(own_gateway)
    reference = payment_of(order).provider_reference
    post(api, "/v1/refunds", {"charge_id": reference, "amount": 3000, "reason": "By hand."})
    assert violations() == ["the provider refunded 30.00, we requested 0.00"]

    assert len(repair()) == 1
    settle()

    assert violations() == []
    assert state(order) == "partially_refunded"
    assert Refund.objects.get().origin == "provider"
    assert repair() == []


def test_a_dispute_is_imported_once_it_is_lost(own_gateway: Gateway, api: httpx.Client) -> None:
    order = charged(own_gateway)
    reference = payment_of(order).provider_reference
    dispute = api.post(f"/v1/charges/{reference}/disputes", json={"reason": "fraudulent"}).json()
    [shown] = own_gateway.refunds_of(provider_reference=reference)
    assert (shown.status, shown.is_dispute) == (RefundStatus.PENDING, True)
    assert violations() == []

    closed = api.post(f"/v1/disputes/{dispute['id']}/close", json={"outcome": "lost"})
    assert closed.json()["status"] == "lost"
    again = api.post(f"/v1/disputes/{dispute['id']}/close", json={"outcome": "won"})
    assert code(again) == (409, "dispute_closed")
    assert violations() == ["the provider refunded 100.00, we requested 0.00"]
    repair()
    settle()

    assert violations() == []
    refund = Refund.objects.get()
    assert (refund.is_dispute, refund.status, refund.reason) == (True, "succeeded", "fraudulent")
    assert state(order) == "refunded"


def test_a_charge_of_others_is_imported(own_gateway: Gateway, api: httpx.Client) -> None:
    post(api, "/v1/charges", {**BODY, "reference": "parking"}, key="till-7")
    assert violations() == ["the provider captured 12.50, and we have no such payment"]

    repair()

    assert violations() == []
    money = Payment.objects.get()
    assert (money.origin, money.charge_key, money.order_id) == ("provider", "till-7", None)
    assert ExceptionRecord.objects.get().kind == "charge_at_provider"
    assert repair() == []


def test_another_amount_and_currency_are_imported(own_gateway: Gateway, api: httpx.Client) -> None:
    orders = [charged(own_gateway) for _ in range(3)]
    changes: list[dict[str, Any]] = [
        {"captured_amount": 15000},
        {"captured_amount": 10000, "currency": "USD"},
        {"captured_amount": 10000},
    ]
    for order, change in zip(orders, changes, strict=True):
        reference = payment_of(order).provider_reference
        overwritten = api.post(f"/v1/charges/{reference}/overwrite", json=change).json()
        assert overwritten["captured_amount"] == change["captured_amount"]
    assert len(violations()) == 2

    repair()
    settle()

    kinds = ExceptionRecord.objects.order_by("kind").values_list("kind", "order_id")
    assert list(kinds) == [
        ("captured_amount_differs", orders[0].id),
        ("captured_currency_differs", orders[1].id),
    ]
    # That one was captured before in its own currency, which the provider has no more.
    assert len(violations()) == 1


def test_a_capture_that_no_webhook_brought_is_imported(
    own_gateway: Gateway, api: httpx.Client
) -> None:
    order = charged(own_gateway, captures=False)
    payment = payment_of(order)
    assert (payment.status, state(order)) == ("authorized", "authorized")
    path = f"/v1/charges/{payment.provider_reference}/capture"
    assert post(api, path, {"amount": 100}).json()["captured_amount"] == 100

    repair()
    settle()

    order.refresh_from_db()
    assert (order.status, order.payment_status) == ("on_hold", "partially_paid")
    assert violations() == []


def test_a_declined_charge_that_was_captured_is_imported(
    own_gateway: Gateway, api: httpx.Client
) -> None:
    order = place((make_product(price=Decimal("100.00")), 1), token="tok_declined")
    payment = payment_of(order)
    declined = own_gateway.charge(
        key=str(payment.id),
        amount=payment.amount,
        currency=payment.currency,
        token=payment.token,
        capture=True,
        reference=str(order.id),
    )
    record_charge(actor=PROVIDER, payment_id=payment.id, result=declined)
    settle()
    reference = declined.provider_reference
    api.post(f"/v1/charges/{reference}/overwrite", json={"captured_amount": 10000})
    assert violations() == ["the provider captured 100.00, and our payment is failed"]

    repair()
    settle()

    order.refresh_from_db()
    assert (order.status, order.payment_status) == ("confirmed", "paid")
    assert violations() == []


def test_a_charge_that_cannot_be_recorded_does_not_stop_the_others(
    own_gateway: Gateway, api: httpx.Client
) -> None:
    post(api, "/v1/charges", {**BODY, "reference": "first"}, key="till-1")
    post(api, "/v1/charges", {**BODY, "reference": "second"}, key="till-2")
    with connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE payments_payment ADD CONSTRAINT refused CHECK (charge_key <> 'till-1')"
        )
    try:
        sentences = repair()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE payments_payment DROP CONSTRAINT refused")

    assert len(sentences) == 2
    assert "till-1: could not be recorded" in sentences[0]
    assert Payment.objects.get().charge_key == "till-2"
    assert len(violations()) == 1
    repair()
    assert violations() == []


def test_an_unreachable_provider_is_left_out(
    own_gateway: Gateway, provider: SandboxProcess
) -> None:
    charged(own_gateway)
    provider.stop()

    assert repair() == []
    provider.start()


def test_bad_requests_of_hand_are_refused(own_gateway: Gateway, api: httpx.Client) -> None:
    reference = payment_of(charged(own_gateway)).provider_reference
    path = f"/v1/charges/{reference}"

    too_much = api.post(f"{path}/disputes", json={"amount": 10001})
    assert code(too_much) == (409, "dispute_exceeds_captured")
    assert code(api.post(f"{path}/disputes", json={"amount": 0})) == (400, "invalid_amount")
    assert code(api.post(f"{path}/overwrite", json={})) == (400, "invalid_captured_amount")
    assert code(api.post("/v1/disputes/dp_0/close", json={"outcome": "won"})) == (
        404,
        "no_such_dispute",
    )
    post(api, "/v1/refunds", {"charge_id": reference, "amount": 5000})
    less = api.post(f"{path}/overwrite", json={"captured_amount": 100})
    assert code(less) == (409, "refund_exceeds_captured")


def test_what_is_disputed_is_not_refunded_too(own_gateway: Gateway, api: httpx.Client) -> None:
    reference = payment_of(charged(own_gateway)).provider_reference
    disputes = f"/v1/charges/{reference}/disputes"
    refund = {"charge_id": reference, "amount": 5000}
    first, second = (api.post(disputes, json={"amount": 6000}).json()["id"] for _ in range(2))

    assert code(post(api, "/v1/refunds", refund)) == (409, "refund_exceeds_captured")
    lost = api.post(f"/v1/disputes/{first}/close", json={"outcome": "lost"})
    assert lost.json()["status"] == "lost"
    too_much = api.post(f"/v1/disputes/{second}/close", json={"outcome": "lost"})
    assert code(too_much) == (409, "dispute_exceeds_captured")
    won = api.post(f"/v1/disputes/{second}/close", json={"outcome": "won"})
    assert won.json()["status"] == "won"
    last = post(api, "/v1/refunds", {**refund, "amount": 4000}, key="last")
    assert last.json()["status"] == "succeeded"
