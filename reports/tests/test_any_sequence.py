"""Whatever happens to orders: over all days the figures are what is sold, kept and owed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction
from django.db.models import F, Sum
from django.test import override_settings
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from inventory.models import StockMovement
from oms.core import clock
from oms.core.actor import system
from oms.core.errors import OperationError
from oms.core.money import ZERO
from oms.testing.factories import make_customer, make_product
from oms.testing.ordering import payment_of, place, report, report_refund, settle
from orders.models import Order, OrderItem
from orders.operations.cancellations import cancel_items
from orders.operations.cancelling import cancel_order, expire_orders
from orders.operations.fulfilling import ship_items
from orders.operations.quantities import ItemQuantity
from orders.operations.receiving import ReceivedItem, record_return
from orders.operations.refunding import RefundedItem, refund_payment
from orders.operations.requesting_payments import pay_order
from orders.operations.status_changes import set_order_status
from orders.placements import PaymentChoice
from orders.states import OrderStatus, ReturnOutcome
from payments.gateways.base import ChargeStatus
from payments.models import Payment, Refund
from payments.operations.refunds import request_void
from payments.states import OPEN, OPEN_REFUNDS
from reports.checks import report_finding
from reports.operations.open_days import add_up_today
from reports.operations.reporting import close_days, range_report

STAFF = system("tests")
START = datetime(2026, 5, 20, 20, tzinfo=ZoneInfo("Europe/Berlin"))
Step = Callable[["Shop", Order, int], object]


class Shop:
    """A shop whose steps are each taken at its own time. What is refused changes nothing."""

    def __init__(self) -> None:
        self.now = START
        self.customer = make_customer()
        self.products = [make_product(stock=99, price=Decimal(price)) for price in ("50", "9.99")]
        self.orders: list[Order] = []

    def step(self, name: str, which: int, number: int, hours: int) -> None:
        """Take the step, `hours` later, with one of the orders and a `number` from 1 to 3."""
        self.pass_hours(hours)
        with clock.stopped_at(self.now):
            with suppress(OperationError, Payment.DoesNotExist):
                if name == "place" or not self.orders:
                    self.place(number)
                else:
                    STEPS[name](self, self.orders[-1 - which % len(self.orders)], number)
            settle()
            add_up_today(now=self.now)

    def pass_hours(self, hours: int) -> None:
        """A day is closed when it is over, and so knows nothing of what comes later."""
        before = clock.business_date(self.now)
        self.now += timedelta(hours=hours, seconds=1)
        if clock.business_date(self.now) > before:
            close_days(now=self.now)

    def place(self, number: int) -> None:
        """Unpaid; with a payment; or with one that is on its way and can't be called back."""
        lines = [(product, number) for product in self.products]
        token = "tok_success" if number > 1 else ""
        self.orders.append(place(*lines, customer=self.customer, token=token))
        if number == 3:
            Payment.objects.filter(status="created").update(status="processing")

    def finish(self) -> None:
        """Every payment has an outcome, even those of orders that ended, and every refund."""
        for _ in range(3):  # one may cause the next
            with clock.stopped_at(self.now):
                for payment in Payment.objects.filter(status__in=(*OPEN, "authorized")):
                    if payment.status in OPEN or payment.requested_action:
                        void = payment.requested_action == "void"
                        status = ChargeStatus.VOIDED if void else ChargeStatus.CAPTURED
                        [order] = [own for own in self.orders if own.id == payment.order_id]
                        report(order, status)
                finish_refunds()
                settle()
        self.pass_hours(48)


def charge(shop: Shop, order: Order, number: int) -> None:
    payment = payment_of(order)
    is_first = payment.status in OPEN and payment.capture_method == "manual"
    success = ChargeStatus.AUTHORIZED if is_first else ChargeStatus.CAPTURED
    report(order, ChargeStatus.DECLINED if number == 3 else success)


def finish_refunds(*_: object) -> None:
    for refund in Refund.objects.filter(status__in=OPEN_REFUNDS):
        report_refund(refund)


def refund(shop: Shop, order: Order, number: int) -> None:
    amount = None if number == 3 else number * Decimal("19.99")
    refund_payment(actor=STAFF, payment_id=payment_of(order).id, amount=amount)


def refund_items(shop: Shop, order: Order, number: int) -> None:
    items = [RefundedItem(order_item_id=line(order), quantity=1, restock=number == 2)]
    refund_payment(actor=STAFF, payment_id=payment_of(order).id, items=items)


def take_back(shop: Shop, order: Order, number: int) -> None:
    outcome = ReturnOutcome.UNUSABLE if number == 3 else ReturnOutcome.RESTOCK
    items = [ReceivedItem(order_item_id=line(order), quantity=1, outcome=outcome)]
    record_return(actor=STAFF, order_id=order.id, items=items, refund=number == 2)


def line(order: Order) -> UUID:
    return OrderItem.objects.filter(order=order)[0].id


STEPS: dict[str, Step] = {
    "place": lambda shop, order, number: shop.place(number),
    "charge": charge,
    "pay again": lambda shop, order, number: pay_order(
        actor=STAFF, order_id=order.id, choice=PaymentChoice(provider="sandbox", token="t")
    ),
    "confirm": lambda shop, order, number: set_order_status(
        actor=STAFF, order_id=order.id, status=OrderStatus.CONFIRMED
    ),
    "cancel": lambda shop, order, number: cancel_order(actor=STAFF, order_id=order.id),
    "cancel some": lambda shop, order, number: cancel_items(
        actor=STAFF,
        order_id=order.id,
        items=[ItemQuantity(order_item_id=line(order), quantity=number)],
    ),
    "expire": lambda shop, order, number: expire_orders(at=shop.now + timedelta(hours=number)),
    "void": lambda shop, order, number: request_void(actor=STAFF, payment_id=payment_of(order).id),
    "refund": refund,
    "refund items": refund_items,
    "finish refunds": finish_refunds,
    "ship some": lambda shop, order, number: ship_items(
        actor=STAFF,
        order_id=order.id,
        items=[ItemQuantity(order_item_id=line(order), quantity=1)],
    ),
    "ship": lambda shop, order, number: ship_items(actor=STAFF, order_id=order.id),
    "take back": take_back,
}


def kept_and_owed() -> Decimal:
    """The money kept of confirmed orders, and what is still owed for them, by us or to us."""
    net = ZERO
    for order in Order.objects.filter(confirmed_at__isnull=False):
        payments = Payment.objects.filter(order_id=order.id)
        captured = payments.aggregate(sum=Sum("captured_amount"))["sum"] or ZERO
        refunds = Refund.objects.filter(order_id=order.id, status="succeeded")
        kept = captured - (refunds.aggregate(sum=Sum("amount"))["sum"] or ZERO)
        total = ZERO if order.status == OrderStatus.CANCELLED else order.total
        net += kept + max(total - captured, ZERO) - max(kept - total, ZERO)
    return net


def units_by_ledger() -> int:
    """The units of confirmed orders that are reserved, or shipped and not returned."""
    orders = Order.objects.filter(confirmed_at__isnull=False).values("id")
    moved = StockMovement.objects.filter(order_id__in=orders)
    return moved.aggregate(sum=Sum(F("reserved_delta") - F("on_hand_delta")))["sum"] or 0


NUMBERS = (st.integers(0, 3), st.integers(1, 3), st.sampled_from([0, 1, 5, 24]))


@pytest.mark.django_db
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    steps=st.lists(st.tuples(st.sampled_from(sorted(STEPS)), *NUMBERS), min_size=5, max_size=20),
    capture=st.sampled_from(["automatic", "manual"]),
)
# Cancelled meanwhile, captured, refunded: the money was never for a sale.
@example(steps=[("place", 0, 3, 0), ("cancel", 0, 1, 0), ("charge", 0, 1, 0)], capture="automatic")
# Authorised, confirmed, cancelled, voided: nothing is sold.
@example(steps=[("place", 0, 2, 0), ("charge", 0, 1, 0), ("cancel", 0, 1, 24)], capture="manual")
def test_the_days_add_up(db: None, steps: list[tuple[str, int, int, int]], capture: str) -> None:
    block = transaction.atomic()
    # Each step is a transaction of its own within it, as production's are.
    setattr(block, "_from_testcase", True)  # noqa: B010  # unknown to the stubs
    with block, override_settings(PAYMENT_CAPTURE=capture):
        shop = Shop()
        for step in steps:
            shop.step(*step)
        shop.finish()

        last = clock.business_date(shop.now)
        made = range_report(
            actor=STAFF, first=START.date(), last=last, currency="EUR", now=shop.now
        )
        assert made.totals.net_sales == kept_and_owed()
        assert made.totals.units_sold == units_by_ledger()
        assert report_finding().violations == ()
        transaction.set_rollback(True)
