"""Money is refunded once, by staff or at the provider, and whenever orders learn of it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest

from oms.core.ids import new_id
from oms.events.models import Event
from oms.testing.factories import actor_for, make_customer, make_product, make_staff
from oms.testing.ordering import (
    PROVIDER,
    paid_order,
    payment_of,
    place,
    refund_of,
    report,
    result,
    settle,
)
from oms.testing.webhooks import charge_of
from orders.models import Order
from orders.operations.fulfilling import ship_items
from orders.operations.quantities import refunded_quantities
from orders.operations.receiving import record_return
from orders.operations.refunding import RefundedItem
from orders.operations.requesting_payments import pay_order
from orders.operations.status_changes import set_order_status
from orders.states import OrderStatus
from orders.tests.provider_webhooks import (
    CHOICE,
    broken_checks,
    captured,
    deliver,
    fail,
    open_exceptions,
    order_of,
    paid,
    refunded,
    state,
    succeed,
)
from orders.tests.test_cancellations import cancel
from orders.tests.test_returns import received
from payments.errors import RefundExceedsCaptured
from payments.gateways.base import ChargeStatus
from payments.models import Payment, Refund
from payments.operations.outcomes import record_charge
from payments.queries import totals_of_orders
from payments.states import Origin

pytestmark = pytest.mark.django_db


def unpaid_order(price: str, quantity: int) -> Order:
    return place((make_product(price=Decimal(price), stock=quantity), quantity))


def pay(order: Order) -> None:
    """Have what is owed captured; orders have not learnt of it."""
    pay_order(actor=actor_for(make_staff()), order_id=order.id, choice=CHOICE)
    report(order)


def succeed_all() -> None:
    for refund in Refund.objects.filter(status="requested"):
        succeed(refund)


def kept(order: Order) -> Decimal:
    return totals_of_orders([order.id])[order.id, order.currency].kept


def charged_beside(order: Order, minor_units: int) -> Payment:
    """Somebody else has charged so many minor units, naming the order."""
    data = {
        **charge_of(payment_of(order)),
        "id": f"ch_{new_id()}",
        "idempotency_key": f"till-{new_id()}",
        "amount": minor_units,
        "captured_amount": minor_units,
        "reference": str(order.id),
    }
    deliver(data, type="charge.captured")
    return Payment.objects.filter(order_id=order.id, origin=Origin.PROVIDER).latest("id")


# --- Cancelled while a payment was captured -------------------------------------------------------


def test_what_was_cancelled_before_a_payment_is_not_refunded_of_it() -> None:
    order = unpaid_order("10.00", 10)
    cancel(order, (0, 1))
    pay(order)

    cancel(order, (0, 1))
    settle()
    succeed_all()

    assert order.total == kept(order) == Decimal("80.00")
    assert Refund.objects.get().amount == Decimal("10.00")
    assert state(order) == ("confirmed", "partially_refunded")
    assert broken_checks() == []


def test_what_staff_have_refunded_before_orders_learn_of_a_capture_is_not_refunded_again() -> None:
    order = unpaid_order("10.00", 10)
    pay_order(actor=actor_for(make_staff()), order_id=order.id, choice=CHOICE)
    cancel(order, (0, 1))
    report(order)
    refund_of(payment_of(order), amount=Decimal("10.00"))

    settle()
    succeed_all()

    assert order.total == kept(order) == Decimal("90.00")
    assert state(order) == ("confirmed", "partially_refunded")
    assert broken_checks() == []


def test_what_was_cancelled_while_the_rest_was_paid_is_refunded() -> None:
    order = place((make_product(price=Decimal("10.00")), 10), token="tok_success")
    captured(payment_of(order), 50_00)
    pay_order(actor=actor_for(make_staff()), order_id=order.id, choice=CHOICE)
    cancel(order, (0, 1))
    report(order)
    settle()
    succeed_all()

    assert order.total == kept(order) == Decimal("90.00")
    assert open_exceptions(order) == []
    assert broken_checks() == []


@pytest.mark.parametrize("is_by_staff", [True, False])
def test_a_part_refunded_before_orders_learn_of_the_capture_holds_nothing(
    is_by_staff: bool,
) -> None:
    order = order_of()
    report(order)
    payment = payment_of(order)
    if is_by_staff:
        succeed(refund_of(payment, amount=Decimal("30.00")))
    else:
        refunded(payment, 30_00)

    settle()

    assert state(order) == ("confirmed", "partially_refunded")
    assert open_exceptions(order) == ([] if is_by_staff else ["refund_at_provider"])
    assert broken_checks() == []


# --- Refunded at the provider, and cancelled for that ---------------------------------------------


def test_cancelling_what_was_refunded_at_the_provider_refunds_it_once() -> None:
    order = paid_order((make_product(price=Decimal("50.00")), 2))
    refunded(payment_of(order), 50_00)
    assert open_exceptions(order) == ["refund_at_provider"]

    cancel(order, (0, 1))

    assert Refund.objects.count() == 1
    assert state(order) == ("confirmed", "partially_refunded")
    assert open_exceptions(order) == []
    ship_items(actor=actor_for(make_staff()), order_id=order.id)
    assert state(order)[0] == "shipped"
    assert broken_checks() == []


def test_what_is_cancelled_beyond_a_refund_at_the_provider_is_refunded() -> None:
    order = paid_order((make_product(price=Decimal("50.00")), 3))
    cancel(order, (0, 1))
    succeed_all()
    refunded(payment_of(order), 20_00)

    cancel(order, (0, 1))
    succeed_all()

    assert order.total == kept(order) == Decimal("50.00")
    assert open_exceptions(order) == []
    assert broken_checks() == []


def test_a_refund_by_staff_is_not_taken_back_beside_one_at_the_provider() -> None:
    order = paid_order((make_product(price=Decimal("50.00")), 2))
    succeed(refund_of(payment_of(order), amount=Decimal("30.00")))
    refunded(payment_of(order), 20_00)

    cancel(order, (0, 1))

    assert kept(order) == Decimal("20.00")  # of 50.00, less the 30.00


def test_what_was_paid_twice_and_refunded_at_the_provider_is_not_for_what_is_cancelled() -> None:
    order = place((make_product(price=Decimal("50.00")), 2), token="tok_success")
    captured(payment_of(order), 150_00)
    refunded(payment_of(order), 50_00)

    cancel(order, (0, 1))

    assert order.total == kept(order) == Decimal("50.00")


# --- Exceptions that a cancellation mends ---------------------------------------------------------


def test_cancelling_what_was_not_paid_settles_the_exception() -> None:
    order = place((make_product(price=Decimal("50.00")), 2), token="tok_success")
    captured(payment_of(order), 50_00)
    assert open_exceptions(order) == ["captured_amount_differs"]

    cancel(order, (0, 1))

    assert not Refund.objects.exists()
    assert open_exceptions(order) == []
    assert state(order) == ("on_hold", "paid")
    assert broken_checks() == []


# --- Money that never paid the order --------------------------------------------------------------


def test_refunding_what_somebody_charged_beside_does_not_cancel_the_order() -> None:
    order = order_of()
    report(order, ChargeStatus.DECLINED)
    settle()
    stray = charged_beside(order, 10_00)
    assert open_exceptions(order) == ["charge_at_provider"]

    succeed(refund_of(stray))

    assert state(order) == ("on_hold", "failed")
    assert open_exceptions(order) == []
    assert order.items.get().quantity_cancelled == 0
    assert broken_checks() == []
    pay(order)
    settle()
    assert payment_of(order).amount == Decimal("100.00")
    assert broken_checks() == []


def test_refunding_money_beside_a_payment_in_progress_does_not_cancel_the_order() -> None:
    order = order_of()
    Payment.objects.update(status="processing")
    stray = charged_beside(order, 100_00)

    succeed(refund_of(stray))

    assert order.items.get().quantity_cancelled == 0
    assert state(order) == ("confirmed", "processing")
    assert report_first(order)
    settle()
    assert state(order) == ("confirmed", "partially_refunded")
    assert kept(order) == order.total
    assert broken_checks() == []


def report_first(order: Order) -> bool:
    """The order's payment of the shop is captured."""
    payment = Payment.objects.get(order_id=order.id, origin=Origin.SHOP)
    return record_charge(actor=PROVIDER, payment_id=payment.id, result=result(payment))


def test_the_refund_of_a_payment_in_two_parts_cancels_the_rest() -> None:
    order = paid()
    refund_of(payment_of(order), amount=Decimal("30.00"))
    assert state(order)[0] == "confirmed"

    refund_of(payment_of(order))

    assert state(order)[0] == "cancelled"


# --- What was never paid in full can be paid ------------------------------------------------------


@pytest.mark.parametrize("is_by_staff", [True, False])
def test_an_order_whose_part_payment_was_refunded_can_be_paid(is_by_staff: bool) -> None:
    customer = make_customer()
    order = order_of(customer=customer)
    captured(payment_of(order), 1_00)
    if is_by_staff:
        succeed(refund_of(payment_of(order)))
    else:
        refunded(payment_of(order), 1_00)
    assert state(order) == ("on_hold", "unpaid")
    assert broken_checks() == []

    payment = pay_order(actor=actor_for(customer), order_id=order.id, choice=CHOICE)
    report(order)
    settle()

    assert payment.amount == Decimal("100.00")
    assert state(order) == ("on_hold", "partially_refunded")
    assert kept(order) == order.total
    assert open_exceptions(order) == []
    assert broken_checks() == []


def test_what_was_refunded_of_a_part_payment_is_owed_again() -> None:
    order = order_of()
    captured(payment_of(order), 50_00)
    refunded(payment_of(order), 20_00)
    assert state(order) == ("on_hold", "partially_paid")

    payment = pay_order(actor=actor_for(make_staff()), order_id=order.id, choice=CHOICE)

    assert payment.amount == Decimal("70.00")


def test_cancelling_of_a_part_payment_refunds_what_is_kept_above_the_rest() -> None:
    order = place((make_product(price=Decimal("10.00")), 10), token="tok_success")
    captured(payment_of(order), 50_00)
    succeed(refund_of(payment_of(order), amount=Decimal("20.00")))

    cancel(order, (0, 8))

    succeed_all()
    assert order.total == kept(order) == Decimal("20.00")
    assert open_exceptions(order) == []
    assert broken_checks() == []


def test_cancelling_of_an_order_whose_part_payment_was_refunded_refunds_nothing() -> None:
    order = place((make_product(price=Decimal("10.00")), 10), token="tok_success")
    captured(payment_of(order), 50_00)
    succeed(refund_of(payment_of(order)))

    cancel(order, (0, 6))

    assert Refund.objects.count() == 1
    assert broken_checks() == []


# --- One amount of several payments ---------------------------------------------------------------


def test_items_are_refunded_of_two_payments() -> None:
    order = order_of()
    captured(payment_of(order), 40_00)
    first = payment_of(order)
    pay(order)
    settle()
    [item] = order.items.all()

    refund = refund_of(first, items=[RefundedItem(order_item_id=item.id, quantity=1)])
    succeed_all()

    parts = list(Refund.objects.order_by("id"))
    assert [(part.payment_id, part.amount) for part in parts] == [
        (first.id, Decimal("40.00")),
        (payment_of(order).id, Decimal("60.00")),
    ]
    assert refund == parts[0]
    assert state(order) == ("cancelled", "refunded")
    assert Event.objects.get(type="order.items_cancelled").data["refunded"] == "100.00"
    assert broken_checks() == []


def test_items_worth_more_than_is_left_are_not_refunded() -> None:
    order = paid()
    refund_of(payment_of(order), amount=Decimal("0.01"))
    [item] = order.items.all()

    with pytest.raises(RefundExceedsCaptured) as refusal:
        refund_of(payment_of(order), items=[RefundedItem(order_item_id=item.id, quantity=1)])

    assert refusal.value.data["refundable"] == "99.99"


def returned_of_two_payments() -> tuple[Order, Sequence[Refund]]:
    """A shipped order of two payments whose only unit came back, and its refunds."""
    order = order_of()
    captured(payment_of(order), 40_00)
    pay(order)
    settle()
    staff = actor_for(make_staff())
    set_order_status(actor=staff, order_id=order.id, status=OrderStatus.CONFIRMED)
    ship_items(actor=staff, order_id=order.id)
    record_return(actor=staff, order_id=order.id, items=received(order, 1), refund=True)
    refunds = list(Refund.objects.order_by("id"))
    assert [refund.amount for refund in refunds] == [Decimal("40.00"), Decimal("60.00")]
    return order, refunds


def test_units_of_which_one_part_was_refunded_are_not_refunded_again() -> None:
    order, (first, second) = returned_of_two_payments()
    items = list(order.items.all())

    fail(first)
    succeed(second)

    assert sum(refunded_quantities(items).values()) == 1
    assert open_exceptions(order) == ["refund_failed"]


def test_units_of_which_all_parts_failed_can_be_refunded_again() -> None:
    order, refunds = returned_of_two_payments()
    items = list(order.items.all())

    for refund in refunds:
        fail(refund)

    assert refunded_quantities(items) == {}
