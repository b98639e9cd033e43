"""Random calls of several connections at once do what some order of them does in a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import partial
from itertools import permutations
from random import Random
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError

from inventory.models import StockLevel
from inventory.operations.adjustments import AdjustmentReason, Change, adjust_stock
from oms.checks import reconcile
from oms.core import clock
from oms.core.actor import system
from oms.core.errors import OperationError, Unavailable
from oms.events.relay import deliver
from oms.subscriptions import CONSUMERS
from oms.testing.event_log import wait_until_readable
from oms.testing.factories import make_customer, make_product
from oms.testing.ordering import outcomes_at_once, place, report
from oms.tests.concurrency.order_model import PRICES, Model, Refused
from orders.models import Order, OrderItem
from orders.operations.cancellations import cancel_items
from orders.operations.cancelling import cancel_order, expire_orders
from orders.operations.fulfilling import ship_items
from orders.operations.quantities import ItemQuantity
from orders.operations.receiving import ReceivedItem, record_return
from orders.operations.refunding import refund_payment
from orders.operations.status_changes import set_order_status
from orders.states import OrderStatus, ReturnOutcome
from payments.gateways.base import ChargeStatus, RefundResult
from payments.gateways.base import RefundStatus as RefundOutcome
from payments.models import Payment, Refund
from payments.operations.outcomes import record_refund
from payments.states import OPEN_REFUNDS

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

STAFF = system("tests")
ROUNDS = 12
AT_ONCE = 4


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call of the shop, and the same call of the model: the name and arguments of its method."""

    name: str
    arguments: tuple[Any, ...]
    run: Callable[[], Any]


class Shop:
    """The shop, and the calls that can be made in it."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.customer = make_customer()
        self.products = [make_product(stock=12, price=price) for price in PRICES]

    def calls(self) -> Sequence[Call]:
        """As many calls as are made at once, most of them of orders that there are."""
        orders = list(Order.objects.order_by("id"))
        names = ["place", "adjust"] + 6 * list(BUILDERS) if orders else ["place", "adjust"]
        names = self.random.sample(names, k=min(AT_ONCE, len(names)))
        return [self.call(name, orders) for name in names]

    def call(self, name: str, orders: Sequence[Order]) -> Call:
        if name == "place":
            quantities = {n: self.random.randint(1, 4) for n in self.random.sample([0, 1], k=2)}
            pays = self.random.random() < 0.7
            return Call(
                name=name,
                arguments=(quantities, pays),
                run=lambda: self.place(quantities, pays),
            )
        if name == "adjust":
            product, delta = self.random.choice([0, 1]), self.random.choice([-6, -2, 1, 5])
            adjust = partial(
                adjust_stock,
                actor=STAFF,
                product_id=self.products[product].id,
                amount=Change(delta=delta),
                reason=AdjustmentReason.CORRECTION,
            )
            return Call(name=name, arguments=(product, delta), run=adjust)
        # Often the same few orders, so that the calls meet.
        order = self.random.choice(orders[-4:])
        arguments, run = BUILDERS[name](self, order)
        return Call(name=name, arguments=(order.id, *arguments), run=run)

    def place(self, quantities: dict[int, int], pays: bool) -> UUID:
        lines = [(self.products[number], quantity) for number, quantity in quantities.items()]
        order = place(*lines, customer=self.customer, token="tok_success" if pays else "")
        # A worker has claimed the payment: it can't be called back.
        Payment.objects.filter(order_id=order.id).update(status="processing")
        return order.id

    def line(self, order: Order) -> tuple[int, UUID]:
        """One of the order's lines: the number of its product, and its id."""
        product = self.random.choice([0, 1])
        return product, OrderItem.objects.get(order=order, product=self.products[product]).id

    def work(self) -> None:
        """What the workers do: the orders handle events of payments and stock, refunds are made."""
        for _ in range(2):
            for refund in Refund.objects.filter(status__in=OPEN_REFUNDS):
                outcome = RefundResult(
                    status=RefundOutcome.SUCCEEDED,
                    provider_reference=f"re_{refund.id}",
                    charge_reference="",
                    amount=refund.amount,
                )
                record_refund(actor=STAFF, refund_id=refund.id, result=outcome)
            wait_until_readable()
            for consumer in CONSUMERS:
                deliver(consumer)

    def view(self) -> tuple[object, ...]:
        levels = [StockLevel.objects.get(product=product) for product in self.products]
        numbers = {product.id: number for number, product in enumerate(self.products)}
        payments = {payment.order_id: payment for payment in Payment.objects.all()}
        zero = Payment(captured_amount=Decimal(0), refunded_amount=Decimal(0))
        return (
            tuple((level.on_hand, level.reserved) for level in levels),
            {
                order.id: (
                    order.status,
                    order.total,
                    payments.get(order.id, zero).captured_amount,
                    payments.get(order.id, zero).refunded_amount,
                    tuple(
                        (
                            numbers[item.product_id],
                            item.quantity_cancelled,
                            item.quantity_shipped,
                            item.quantity_returned,
                            item.quantity_waiting,
                        )
                        for item in sorted(order.items.all(), key=lambda i: numbers[i.product_id])
                    ),
                )
                for order in Order.objects.prefetch_related("items")
            },
        )


Built = tuple[tuple[Any, ...], Callable[[], Any]]


def of_order(operation: Callable[..., Any], **options: Any) -> Callable[[Shop, Order], Built]:
    """A call that needs the order alone."""
    return lambda shop, order: ((), partial(operation, actor=STAFF, order_id=order.id, **options))


def of_line(operation: Callable[..., Any]) -> Callable[[Shop, Order], Built]:
    """A call with a quantity of one of the order's lines."""

    def build(shop: Shop, order: Order) -> Built:
        (product, id), quantity = shop.line(order), shop.random.randint(1, 3)
        items = [ItemQuantity(order_item_id=id, quantity=quantity)]
        run = partial(operation, actor=STAFF, order_id=order.id, items=items)
        return (product, quantity), run

    return build


def charge(shop: Shop, order: Order) -> Built:
    # However often it is asked, the provider says the same of one payment.
    succeeds = order.id.int % 5 > 0
    status = ChargeStatus.CAPTURED if succeeds else ChargeStatus.DECLINED
    has_payment = Payment.objects.filter(order_id=order.id).exists()
    return (succeeds,), partial(report, order, status) if has_payment else lambda: None


def refund(shop: Shop, order: Order) -> Built:
    amount = shop.random.choice([None, Decimal("10.00"), Decimal("30.00")])
    payment = Payment.objects.filter(order_id=order.id).first()
    id = payment.id if payment else order.id
    return (amount,), partial(refund_payment, actor=STAFF, payment_id=id, amount=amount)


def take_back(shop: Shop, order: Order) -> Built:
    product, id = shop.line(order)
    restock, with_refund = shop.random.choice([True, False]), shop.random.choice([True, False])
    outcome = ReturnOutcome.RESTOCK if restock else ReturnOutcome.UNUSABLE
    items = [ReceivedItem(order_item_id=id, quantity=1, outcome=outcome)]
    run = partial(record_return, actor=STAFF, order_id=order.id, items=items, refund=with_refund)
    return (product, restock, with_refund), run


BUILDERS: dict[str, Callable[[Shop, Order], Built]] = {
    "confirm": of_order(set_order_status, status=OrderStatus.CONFIRMED),
    "cancel": of_order(cancel_order),
    "cancel_some": of_line(cancel_items),
    "ship": of_order(ship_items),
    "ship_some": of_line(ship_items),
    "deliver": of_order(set_order_status, status=OrderStatus.DELIVERED),
    "charge": charge,
    "refund": refund,
    "take_back": take_back,
}


def after(model: Model, calls: Sequence[tuple[Call, Any]]) -> Model | None:
    """The model after the calls in that order, or None if it refuses others than the shop did."""
    model = deepcopy(model)
    for call, outcome in calls:
        is_refused = isinstance(outcome, OperationError)
        # A placed order has the id that the shop gave it; one that is refused needs none.
        own = (outcome,) if call.name == "place" else ()
        try:
            getattr(model, call.name)(*own, *call.arguments)
        except Refused:
            if not is_refused:
                return None
        else:
            if is_refused:
                return None
        model.settle_books()
    model.handle_captures()
    model.settle_books()
    return model


def explanation(
    done: Sequence[tuple[Call, Any]],
    *,
    before: Model,
    seen: tuple[object, ...],
    candidates: Sequence[Model | None],
) -> str:
    """What was called, and what there was before it, after it, and after it by the model."""
    calls = [f"{call.name}{call.arguments}: {outcome!r}" for call, outcome in done]
    views = [f"before: {before.view()}", f"seen: {seen}"]
    views += sorted({f"possible: {candidate.view()}" for candidate in candidates if candidate})
    return "\n".join([*calls, *views])


@pytest.mark.parametrize("seed", range(5))
def test_calls_at_once_do_what_some_order_of_them_does(seed: int) -> None:
    random = Random(seed)
    shop, model = Shop(random), Model(on_hand=[12, 12])
    for _ in range(ROUNDS):
        calls = shop.calls()
        outcomes = outcomes_at_once([call.run for call in calls])
        shop.work()
        # What had to wait too long for a lock or a connection was not done.
        done = [
            (call, outcome)
            for call, outcome in zip(calls, outcomes, strict=True)
            if not isinstance(outcome, (Unavailable, OperationalError))
        ]
        view = shop.view()
        candidates = [after(model, order) for order in permutations(done)]
        fitting = [candidate for candidate in candidates if candidate and candidate.view() == view]
        if not fitting:
            pytest.fail(explanation(done, before=model, seen=view, candidates=candidates))
        model = fitting[0]
        if random.random() < 0.2:
            expire_orders(at=clock.now() + timedelta(hours=2))
            model.expire()
            model.settle_books()
            shop.work()
            assert model.view() == shop.view()

    assert [finding for finding in reconcile(offline=True) if finding.total] == []
