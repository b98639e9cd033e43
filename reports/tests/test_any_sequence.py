"""Whatever happens to orders: over all days the figures are what was sold, kept and is owed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
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
from oms.testing.ordering import payment_of, place, report, settle
from orders.models import Order, OrderItem
from orders.operations.cancelling import cancel_order, expire_orders
from orders.operations.fulfilling import ShippedItem, ship_items
from orders.operations.paying import pay_order
from orders.operations.refunding import refund_payment
from orders.operations.status_changes import set_order_status
from orders.placements import PaymentChoice
from orders.states import OrderStatus
from payments.gateways.base import ChargeStatus, RefundResult
from payments.gateways.base import RefundStatus as RefundOutcome
from payments.models import Payment, Refund, RequestedAction
from payments.operations.outcomes import record_refund
from payments.operations.refunds import request_void
from payments.states import OPEN, OPEN_REFUNDS, PaymentStatus
from reports.checks import report_finding
from reports.figures import Totals
from reports.operations.open_days import add_up_today
from reports.operations.reporting import close_days, range_report

STAFF = system("tests")
START = datetime(2026, 5, 20, 20, tzinfo=ZoneInfo("Europe/Berlin"))
TOKEN = "tok_success"


class Shop:
    """A shop whose steps are each taken at its own time; `number` is 1 to 3."""

    def __init__(self) -> None:
        self.now = START
        self.customer = make_customer()
        self.products = [make_product(stock=99, price=Decimal(price)) for price in ("50", "9.99")]
        self.orders: list[Order] = []

    def step(self, name: str, which: int, number: int, hours: int) -> None:
        """Pass `hours` and take the step with one order; what is refused changes nothing."""
        self.pass_hours(hours)
        with clock.stopped_at(self.now), suppress(OperationError):
            if name == "place" or not self.orders:
                lines = [(product, number) for product in self.products[: 1 + which % 2]]
                token = TOKEN if number > 1 else ""
                self.orders.append(place(*lines, customer=self.customer, token=token))
                if number == 3:  # a worker has claimed it: it can't be voided unsent any more
                    Payment.objects.filter(status=PaymentStatus.CREATED).update(
                        status=PaymentStatus.PROCESSING
                    )
            else:
                STEPS[name](self, self.orders[-1 - which % len(self.orders)], number)
        with clock.stopped_at(self.now):
            settle()
            add_up_today(now=self.now)

    def pass_hours(self, hours: int) -> None:
        """Every day is closed when it is over, and knows nothing of what comes later."""
        self.now += timedelta(hours=hours, seconds=1)
        with clock.stopped_at(self.now):
            close_days(now=self.now)

    def charge(self, order: Order, number: int) -> None:
        if Payment.objects.filter(order_id=order.id).exists():
            payment = payment_of(order)
            waits = payment.status in OPEN and payment.capture_method == "manual"
            success = ChargeStatus.AUTHORIZED if waits else ChargeStatus.CAPTURED
            report(order, ChargeStatus.DECLINED if number == 3 else success)

    def void(self, order: Order, number: int) -> None:
        request_void(actor=STAFF, payment_id=payment_of(order).id)

    def refund(self, order: Order, number: int) -> None:
        amount = None if number == 3 else number * Decimal("19.99")
        for payment in Payment.objects.filter(order_id=order.id, status=PaymentStatus.CAPTURED):
            refund_payment(actor=STAFF, payment_id=payment.id, amount=amount, restock=number == 3)

    def finish_refunds(self, *_: object) -> None:
        for refund in Refund.objects.filter(status__in=OPEN_REFUNDS):
            outcome = RefundResult(
                status=RefundOutcome.SUCCEEDED,
                provider_reference=f"re_{refund.id}",
                charge_reference="",
                amount=refund.amount,
            )
            record_refund(actor=STAFF, refund_id=refund.id, result=outcome)

    def ship(self, order: Order, number: int) -> None:
        item = OrderItem.objects.filter(order=order)[0]
        some = [ShippedItem(order_item_id=item.id, quantity=1)] if number == 1 else None
        ship_items(actor=STAFF, order_id=order.id, items=some)

    def settle_all(self) -> None:
        """Every payment has its outcome, even those of orders that ended, and every refund."""
        with clock.stopped_at(self.now):
            for payment in Payment.objects.exclude(requested_action=RequestedAction.NONE):
                void = payment.requested_action == RequestedAction.VOID
                order = Order.objects.get(pk=payment.order_id)
                report(order, ChargeStatus.VOIDED if void else ChargeStatus.CAPTURED)
            for payment in Payment.objects.filter(status__in=OPEN):
                report(Order.objects.get(pk=payment.order_id))
            settle()
            self.finish_refunds()
            settle()
        self.pass_hours(48)


STEPS: dict[str, Callable[[Shop, Order, int], object]] = {
    "place": lambda shop, order, number: None,
    "charge": Shop.charge,
    "pay again": lambda shop, order, number: pay_order(
        actor=STAFF, order_id=order.id, choice=PaymentChoice(provider="sandbox", token=TOKEN)
    ),
    "confirm": lambda shop, order, number: set_order_status(
        actor=STAFF, order_id=order.id, status=OrderStatus.CONFIRMED
    ),
    "cancel": lambda shop, order, number: cancel_order(actor=STAFF, order_id=order.id),
    "expire": lambda shop, order, number: expire_orders(at=shop.now + timedelta(hours=number)),
    "void": Shop.void,
    "refund": Shop.refund,
    "finish refunds": Shop.finish_refunds,
    "ship": Shop.ship,
}


def expected() -> tuple[Decimal, int]:
    """The money kept and still owed for all sales, and the units that the ledger says are sold."""
    net = ZERO
    sales = Order.objects.filter(confirmed_at__isnull=False)
    for order in sales:
        payments = Payment.objects.filter(order_id=order.id)
        captured = payments.aggregate(sum=Sum("captured_amount"))["sum"] or ZERO
        refunds = Refund.objects.filter(order_id=order.id, status="succeeded")
        kept = captured - (refunds.aggregate(sum=Sum("amount"))["sum"] or ZERO)
        total = ZERO if order.status == OrderStatus.CANCELLED else order.total
        net += kept + max(total - captured, ZERO)
    moved = StockMovement.objects.filter(order_id__in=sales.values("id"))
    units = moved.aggregate(sum=Sum(F("reserved_delta") - F("on_hand_delta")))["sum"]
    return net, units or 0


def seen(now: datetime) -> Totals:
    first, last = START.date(), clock.business_date(now)
    return range_report(actor=STAFF, first=first, last=last, currency="EUR", now=now).totals


@pytest.mark.django_db
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(sorted(STEPS)),
            st.integers(min_value=0, max_value=3),
            st.integers(min_value=1, max_value=3),
            st.sampled_from([0, 1, 5, 24]),
        ),
        min_size=4,
        max_size=24,
    ),
    capture=st.sampled_from(["automatic", "manual"]),
)
# Cancelled meanwhile, captured, refunded: the money was never a sale.
@example(steps=[("place", 0, 3, 0), ("cancel", 0, 1, 0), ("charge", 0, 1, 0)], capture="automatic")
# Authorised, confirmed, cancelled, voided: nothing is sold.
@example(steps=[("place", 0, 2, 0), ("charge", 0, 1, 0), ("cancel", 0, 1, 24)], capture="manual")
def test_the_days_add_up(db: None, steps: list[tuple[str, int, int, int]], capture: str) -> None:
    with transaction.atomic(), override_settings(PAYMENT_CAPTURE=capture):
        shop = Shop()
        for step in steps:
            shop.step(*step)
        shop.settle_all()

        totals = seen(shop.now)
        assert (totals.net_sales, totals.units_sold) == expected()
        found = report_finding()
        assert found.violations == ()
        transaction.set_rollback(True)
