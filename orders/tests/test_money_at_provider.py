"""What somebody else did at the provider, and money that is not what was asked for."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from oms.core.ids import new_id
from oms.events.models import Event
from oms.exceptions.models import ExceptionRecord
from oms.reconcile.runner import run_checks
from oms.testing.factories import actor_for, api_client, make_customer, make_product, make_staff
from oms.testing.ordering import (
    PROVIDER,
    paid_order,
    payment_of,
    place,
    refund_of,
    report,
    settle,
    status_changes_of,
    stock_of,
)
from oms.testing.webhooks import WEBHOOKS, charge_of, signed_headers, webhook_body
from orders.checks import CHECKS as ORDER_CHECKS
from orders.errors import OrderNotPayable, OrderNotShippable, TotalChanged
from orders.models import Order
from orders.operations.cancelling import cancel_order, expire_orders
from orders.operations.fulfilling import ship_items
from orders.operations.refunding import refund_payment
from orders.operations.requesting_payments import pay_order
from orders.operations.status_changes import set_order_status
from orders.placements import PaymentChoice
from orders.states import OrderStatus
from payments.checks import CHECKS as PAYMENT_CHECKS
from payments.gateways.base import ChargeStatus, RefundResult
from payments.gateways.base import RefundStatus as RefundOutcome
from payments.models import Payment, Refund
from payments.operations.outcomes import record_refund
from payments.operations.provider_refunds import record_provider_refund

pytestmark = pytest.mark.django_db

CHOICE = PaymentChoice(provider="sandbox", token="tok_success")


def deliver(data: dict[str, Any], *, type: str) -> None:
    """Deliver a webhook about `data`, and let orders handle what follows."""
    id = str(new_id())
    body = webhook_body(data, type=type, id=id)
    client: Any = api_client()
    headers = signed_headers(body, id=id)
    answer = client.generic(
        "POST", WEBHOOKS, body, content_type="application/json", headers=headers
    )
    assert answer.status_code == 204, answer.content
    settle()


def captured(payment: Payment, minor_units: int = 0, **values: Any) -> None:
    """The provider has captured so many minor units of the payment, by default all."""
    data = charge_of(payment)
    amount = minor_units or data["amount"]
    values = {"captured_amount": amount, "amount": max(amount, data["amount"]), **values}
    deliver({**data, **values}, type="charge.captured")


def refunded(payment: Payment, minor_units: int, *, id: str = "re_theirs") -> None:
    """Somebody else has refunded so many minor units of the payment."""
    data = {
        "id": id,
        "idempotency_key": "not-ours",
        "status": "succeeded",
        "charge_id": payment.provider_reference,
        "amount": minor_units,
        "currency": payment.currency,
        "reason": "By hand.",
    }
    deliver(data, type="refund.succeeded")


def disputed(payment: Payment, minor_units: int, status: str = "open", id: str = "dp_1") -> None:
    data = {
        "id": id,
        "status": status,
        "charge_id": payment.provider_reference,
        "amount": minor_units,
        "currency": payment.currency,
        "reason": "fraudulent",
    }
    deliver(data, type=f"dispute.{status}")


def order_of(price: str = "100.00", **values: Any) -> Order:
    return place((make_product(price=Decimal(price)), 1), token="tok_success", **values)


def paid(price: str = "100.00", **values: Any) -> Order:
    return paid_order((make_product(price=Decimal(price)), 1), **values)


def state(order: Order) -> tuple[str, str]:
    order.refresh_from_db()
    return order.status, order.payment_status


def open_exceptions(order: Order) -> list[str]:
    rows = ExceptionRecord.objects.filter(order_id=order.id, resolved_at=None)
    return sorted(rows.values_list("kind", flat=True))


def broken_checks() -> list[tuple[str, Any]]:
    """The data checks that do not hold, but for those that need the log to be readable."""
    findings = run_checks([*ORDER_CHECKS, *PAYMENT_CHECKS])
    return [(each.name, each.violations) for each in findings if not each.holds]


# --- Another amount -------------------------------------------------------------------------------


def test_too_little_is_partially_paid_on_hold_and_the_rest_can_be_paid() -> None:
    customer = make_customer()
    order = order_of(customer=customer)
    payment = payment_of(order)

    captured(payment, 1_00)

    assert state(order) == ("on_hold", "partially_paid")
    assert order.expires_at is None
    assert open_exceptions(order) == ["captured_amount_differs"]
    assert status_changes_of(order) == [
        "order.placed",
        "order.partially_paid",
        "order.put_on_hold",
    ]
    assert stock_of(order.items.get().product) == (10, 1)
    assert broken_checks() == []

    rest = pay_order(actor=actor_for(customer), order_id=order.id, choice=CHOICE)
    assert rest.amount == Decimal("99.00")
    assert state(order) == ("on_hold", "processing")
    report(order)
    settle()

    assert state(order) == ("on_hold", "paid")
    assert open_exceptions(order) == []
    set_order_status(actor=actor_for(make_staff()), order_id=order.id, status=OrderStatus.CONFIRMED)
    assert state(order) == ("confirmed", "paid")
    assert order.confirmed_at is not None
    assert broken_checks() == []


def test_a_failed_payment_of_the_rest_leaves_it_partially_paid() -> None:
    customer = make_customer()
    order = order_of(customer=customer)
    captured(payment_of(order), 1_00)
    pay_order(actor=actor_for(customer), order_id=order.id, choice=CHOICE)

    report(order, ChargeStatus.DECLINED)
    settle()

    assert state(order) == ("on_hold", "partially_paid")
    assert "order.payment_failed" in status_changes_of(order)
    assert broken_checks() == []


def test_too_much_is_paid_on_hold_until_the_rest_is_refunded() -> None:
    order = order_of()
    payment = payment_of(order)

    captured(payment, 150_00)

    payment.refresh_from_db()
    assert (payment.captured_amount, payment.amount) == (Decimal("150.00"), Decimal("100.00"))
    assert state(order) == ("on_hold", "paid")
    assert open_exceptions(order) == ["captured_amount_differs"]
    assert broken_checks() == []

    refunded(payment, 50_00)
    assert state(order) == ("on_hold", "partially_refunded")
    assert open_exceptions(order) == []
    assert broken_checks() == []


def test_more_that_is_captured_later_is_recorded_beside_the_payment_once() -> None:
    order = order_of()
    payment = payment_of(order)
    captured(payment, 1_00)

    captured(payment, 100_00)
    captured(payment, 100_00)
    captured(payment, 1_00)  # late news

    payment.refresh_from_db()
    assert payment.captured_amount == Decimal("1.00")
    other = payment_of(order)
    assert (other.origin, other.captured_amount) == ("provider", Decimal("99.00"))
    assert other.charge_key == str(payment.id)
    assert Payment.objects.count() == 2
    assert state(order) == ("on_hold", "paid")
    assert broken_checks() == []


def test_repeated_news_does_not_raise_a_resolved_exception_again() -> None:
    order = order_of()
    captured(payment_of(order), 1_00)
    ExceptionRecord.objects.update(resolved_at=order.placed_at)

    captured(payment_of(order), 1_00)

    assert open_exceptions(order) == []


# --- After the end --------------------------------------------------------------------------------


def test_a_capture_after_a_decline_is_recorded_and_pays_the_order() -> None:
    order = order_of()
    failed = payment_of(order)
    report(order, ChargeStatus.DECLINED)
    settle()
    assert state(order) == ("pending", "failed")

    captured(failed)
    captured(failed)

    failed.refresh_from_db()
    assert (failed.status, failed.captured_amount) == ("failed", Decimal(0))
    money = payment_of(order)
    assert (money.origin, money.status, money.captured_amount) == (
        "provider",
        "captured",
        Decimal("100.00"),
    )
    assert state(order) == ("confirmed", "paid")
    assert open_exceptions(order) == ["captured_after_final"]
    assert Payment.objects.count() == 2
    assert broken_checks() == []


def test_a_second_capture_after_a_decline_puts_a_paid_order_on_hold() -> None:
    customer = make_customer()
    order = order_of(customer=customer)
    failed = payment_of(order)
    report(order, ChargeStatus.DECLINED)
    settle()
    pay_order(actor=actor_for(customer), order_id=order.id, choice=CHOICE)
    report(order)
    settle()

    captured(failed)

    assert state(order) == ("on_hold", "paid")
    assert open_exceptions(order) == ["captured_after_final"]
    assert broken_checks() == []

    money = Payment.objects.get(origin="provider")
    refund = refund_of(money)
    succeed(refund)
    assert state(order) == ("on_hold", "partially_refunded")
    assert open_exceptions(order) == []


def test_money_after_the_decline_of_a_cancelled_order_is_refunded() -> None:
    order = order_of()
    failed = payment_of(order)
    report(order, ChargeStatus.DECLINED)
    settle()
    cancel_order(actor=actor_for(make_staff()), order_id=order.id)

    captured(failed)

    refund = Refund.objects.get()
    assert (refund.amount, refund.payment.origin) == (Decimal("100.00"), "provider")
    succeed(refund)
    assert state(order) == ("cancelled", "refunded")
    assert open_exceptions(order) == []
    assert broken_checks() == []


# --- Another currency -----------------------------------------------------------------------------


def test_another_currency_is_recorded_and_never_counted_as_paid() -> None:
    order = order_of()
    payment = payment_of(order)

    captured(payment, 100_00, currency="USD")
    captured(payment, 100_00, currency="USD")

    payment.refresh_from_db()
    assert (payment.status, payment.failure_code) == ("failed", "currency_differs")
    money = Payment.objects.get(origin="provider")
    assert (money.captured_amount, money.currency) == (Decimal("100.00"), "USD")
    assert state(order) == ("on_hold", "failed")
    assert open_exceptions(order) == ["captured_currency_differs"]
    assert "order.payment_failed" not in status_changes_of(order)
    assert "order.paid" not in status_changes_of(order)
    assert broken_checks() == []

    succeed(refund_of(money))
    assert state(order) == ("on_hold", "failed")
    assert open_exceptions(order) == []
    assert broken_checks() == []


# --- Charges of others ----------------------------------------------------------------------------


def test_a_charge_of_others_for_an_order_is_its_money_too() -> None:
    order = paid()
    theirs = {**charge_of(payment_of(order)), "id": "ch_2", "idempotency_key": "terminal-7"}

    for _ in range(2):
        deliver({**theirs, "reference": str(order.id)}, type="charge.captured")

    money = payment_of(order)
    assert (money.origin, money.charge_key, money.order_id) == ("provider", "terminal-7", order.id)
    assert state(order) == ("on_hold", "paid")
    assert open_exceptions(order) == ["charge_at_provider"]
    assert broken_checks() == []


def test_a_charge_of_others_for_no_order_can_be_refunded() -> None:
    known = payment_of(paid())
    theirs = {**charge_of(known), "id": "ch_2", "idempotency_key": "till", "reference": "parking"}

    deliver(theirs, type="charge.captured")

    money = Payment.objects.get(origin="provider")
    assert money.order_id is None
    exception = ExceptionRecord.objects.get()
    assert (exception.kind, exception.payment_id) == ("charge_at_provider", money.id)
    assert broken_checks() == []
    staff = make_staff()
    shown = api_client(staff).get(f"/api/v1/admin/payments/{money.id}").json()
    assert (shown["order_id"], shown["origin"]) == (None, "provider")

    refund_payment(actor=actor_for(staff), payment_id=money.id, reason="Not ours.")
    succeed(Refund.objects.get())
    assert not ExceptionRecord.objects.filter(resolved_at=None).exists()
    assert broken_checks() == []


@pytest.mark.parametrize("status", ["declined", "authorized"])
def test_a_charge_of_others_without_money_is_ignored(status: str) -> None:
    known = payment_of(paid())
    theirs = {**charge_of(known, status), "id": "ch_2", "idempotency_key": "till"}

    deliver(theirs, type=f"charge.{status}")

    assert not Payment.objects.filter(origin="provider").exists()
    assert not ExceptionRecord.objects.exists()


# --- Refunds and disputes of others ---------------------------------------------------------------


def test_a_refund_of_others_is_a_row_and_the_rest_can_be_refunded() -> None:
    order = paid("50.00")
    payment = payment_of(order)

    refunded(payment, 30_00)
    refunded(payment, 30_00)

    refund = Refund.objects.get()
    assert (refund.origin, refund.amount, refund.reason) == (
        "provider",
        Decimal("30.00"),
        "By hand.",
    )
    assert state(order) == ("confirmed", "partially_refunded")
    assert open_exceptions(order) == ["refund_at_provider"]
    payment.refresh_from_db()
    assert payment.refundable == Decimal("20.00")
    assert broken_checks() == []

    rest = refund_of(payment)
    assert rest.amount == Decimal("20.00")
    succeed(rest)
    assert state(order)[1] == "refunded"
    assert broken_checks() == []


def test_a_refund_of_others_mends_nothing_more_when_the_order_is_cancelled() -> None:
    order = paid()
    refunded(payment_of(order), 100_00)
    assert state(order) == ("confirmed", "refunded")
    assert open_exceptions(order) == ["refund_at_provider"]

    cancel_order(actor=actor_for(make_staff()), order_id=order.id)

    assert state(order) == ("cancelled", "refunded")
    assert open_exceptions(order) == []
    assert Refund.objects.count() == 1
    assert broken_checks() == []


def test_a_refund_of_others_crosses_our_own() -> None:
    order = paid()
    payment = payment_of(order)
    ours = refund_of(payment)

    refunded(payment, 100_00)  # before ours reaches the provider, which then refuses it
    payment.refresh_from_db()
    assert payment.refunded_amount == Decimal("200.00")
    assert payment.refundable == 0
    fail(ours)

    payment.refresh_from_db()
    assert payment.refunded_amount == Decimal("100.00")
    # Our refund has cancelled what was not shipped, and that it failed needs nobody.
    assert state(order) == ("cancelled", "refunded")
    assert open_exceptions(order) == []
    assert broken_checks() == []


def test_a_dispute_is_in_progress_until_it_is_decided() -> None:
    order = paid()
    payment = payment_of(order)

    disputed(payment, 40_00)

    refund = Refund.objects.get()
    assert (refund.is_dispute, refund.status, refund.origin) == (True, "processing", "provider")
    assert refund.next_attempt_at is None
    payment.refresh_from_db()
    assert payment.refundable == Decimal("60.00")
    assert state(order) == ("confirmed", "paid")
    assert open_exceptions(order) == ["dispute"]
    assert broken_checks() == []


def test_a_dispute_that_is_won_changes_nothing() -> None:
    order = paid()
    payment = payment_of(order)
    disputed(payment, 40_00)

    disputed(payment, 40_00, "won")
    disputed(payment, 40_00)  # late news

    refund = Refund.objects.get()
    assert (refund.status, refund.failure_code) == ("failed", "dispute_won")
    payment.refresh_from_db()
    assert payment.refundable == Decimal("100.00")
    assert state(order) == ("confirmed", "paid")
    assert open_exceptions(order) == []
    assert broken_checks() == []


def test_a_dispute_that_is_lost_is_a_refund() -> None:
    order = paid()
    disputed(payment_of(order), 100_00)

    disputed(payment_of(order), 100_00, "lost")

    assert Refund.objects.get().status == "succeeded"
    assert state(order) == ("confirmed", "refunded")
    assert open_exceptions(order) == ["refund_at_provider"]
    assert broken_checks() == []


def test_a_lost_dispute_whose_opening_never_arrived_is_recorded() -> None:
    order = paid()

    disputed(payment_of(order), 100_00, "lost")
    disputed(payment_of(order), 100_00, "open")

    assert Refund.objects.get().status == "succeeded"
    assert state(order) == ("confirmed", "refunded")


def test_a_refund_of_an_unknown_charge_is_left_to_reconciliation() -> None:
    result = RefundResult(
        status=RefundOutcome.SUCCEEDED,
        provider_reference="re_1",
        charge_reference="ch_nobody",
        amount=Decimal("1.00"),
    )

    assert not record_provider_refund(actor=PROVIDER, provider="sandbox", result=result)
    assert not Refund.objects.exists()


# --- Refunds that fail ----------------------------------------------------------------------------


def succeed(refund: Refund) -> None:
    _outcome(refund, RefundOutcome.SUCCEEDED)


def fail(refund: Refund) -> None:
    _outcome(refund, RefundOutcome.FAILED)


def _outcome(refund: Refund, status: RefundOutcome) -> None:
    result = RefundResult(
        status=status,
        provider_reference=f"re_{refund.id}",
        charge_reference=refund.payment.provider_reference,
        amount=refund.amount,
    )
    assert record_refund(actor=PROVIDER, refund_id=refund.id, result=result)
    settle()


def test_a_failed_refund_is_an_exception_until_as_much_is_refunded() -> None:
    order = paid()
    payment = payment_of(order)

    fail(refund_of(payment, amount=Decimal("60.00")))
    assert open_exceptions(order) == ["refund_failed"]

    succeed(refund_of(payment, amount=Decimal("10.00")))
    assert open_exceptions(order) == ["refund_failed"]
    succeed(refund_of(payment, amount=Decimal("60.00")))
    assert open_exceptions(order) == []


# --- What can be paid and shipped -----------------------------------------------------------------


@pytest.mark.parametrize("status", ["on_hold", "processing", "shipped", "delivered"])
def test_what_is_owed_can_be_paid_whatever_has_happened_to_the_order(status: str) -> None:
    customer, staff = make_customer(), actor_for(make_staff())
    order = place((make_product(price=Decimal("100.00")), 1), customer=customer)
    way = {
        "on_hold": ["on_hold"],
        "processing": ["confirmed", "processing"],
        "shipped": ["confirmed", "processing", "shipped"],
        "delivered": ["confirmed", "processing", "shipped", "delivered"],
    }
    for step in way[status]:
        set_order_status(actor=staff, order_id=order.id, status=OrderStatus(step))
    client = api_client(customer)
    path = f"/api/v1/orders/{order.id}"
    assert "pay" in client.get(path).json()["allowed_actions"]

    answer = client.post(f"{path}/payments", {"provider": "sandbox", "token": "tok_success"})

    assert (answer.status_code, answer.json()["amount"]) == (202, "100.00")
    report(order)
    settle()
    assert state(order) == (status, "paid")
    again = client.post(f"{path}/payments", {"provider": "sandbox", "token": "tok_success"})
    assert (again.status_code, again.json()["code"]) == (409, "order_not_payable")
    assert broken_checks() == []


def test_an_order_on_hold_before_payment_does_not_expire_and_can_wait_again() -> None:
    staff = actor_for(make_staff())
    order = place((make_product(), 1))
    set_order_status(actor=staff, order_id=order.id, status=OrderStatus.ON_HOLD)
    order.refresh_from_db()
    assert order.expires_at is None

    set_order_status(actor=staff, order_id=order.id, status=OrderStatus.PENDING)

    assert state(order) == ("pending", "unpaid")
    assert order.expires_at is not None
    assert order.confirmed_at is None
    assert status_changes_of(order)[-1] == "order.awaiting_payment"
    assert expire_orders(at=order.expires_at) == 1
    assert broken_checks() == []


def test_an_order_with_another_total_is_not_paid() -> None:
    customer = make_customer()
    order = place((make_product(price=Decimal("100.00")), 1), customer=customer)
    client, path = api_client(customer), f"/api/v1/orders/{order.id}/payments"
    choice = {"provider": "sandbox", "token": "tok_success"}

    answer = client.post(path, {**choice, "expected_total": "10.00"})

    assert answer.status_code == 409
    problem = answer.json()
    assert (problem["code"], problem["expected"], problem["total"]) == (
        "total_changed",
        "10.00",
        "100.00",
    )
    assert not Payment.objects.exists()
    assert client.post(path, {**choice, "expected_total": "100.00"}).status_code == 202
    with pytest.raises(TotalChanged):
        pay_order(
            actor=actor_for(customer),
            order_id=order.id,
            choice=CHOICE,
            expected_total=Decimal("100.01"),
        )


def test_what_was_fully_refunded_is_neither_shipped_nor_paid() -> None:
    customer, staff = make_customer(), make_staff()
    order = paid(customer=customer)
    refunded(payment_of(order), 100_00)

    with pytest.raises(OrderNotShippable):
        ship_items(actor=actor_for(staff), order_id=order.id)
    with pytest.raises(OrderNotPayable):
        pay_order(actor=actor_for(customer), order_id=order.id, choice=CHOICE)
    actions = api_client(staff).get(f"/api/v1/orders/{order.id}").json()["allowed_actions"]
    assert "cancel" in actions
    assert not {"ship", "pay", "set_status:processing", "set_status:shipped"} & set(actions)


def test_authorized_money_is_shown_as_authorized(settings: Any) -> None:
    settings.PAYMENT_CAPTURE = "manual"
    order = order_of()
    report(order, ChargeStatus.AUTHORIZED)
    settle()

    assert state(order) == ("confirmed", "authorized")
    assert broken_checks() == []


def test_events_tell_where_money_was_moved() -> None:
    order = paid()
    refunded(payment_of(order), 1_00)

    event = Event.objects.get(type="refund.succeeded")
    assert event.data["origin"] == "provider"
    captured_event = Event.objects.get(type="payment.captured")
    assert captured_event.data["origin"] == "shop"
