"""A shop, and random calls that can be made in it and in its model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any
from uuid import UUID

from inventory.errors import StockConflict, StockLinesConflict
from inventory.operations.adjustments import AdjustmentReason, Change, adjust_stock
from inventory.operations.documents import StockLine
from inventory.operations.transferring import transfer_stock
from oms.core.actor import system
from oms.core.ids import new_id
from oms.db.transactions import transaction
from oms.events.relay import deliver
from oms.subscriptions import CONSUMERS
from oms.testing.event_log import wait_until_readable
from oms.testing.factories import make_customer, make_location, make_product
from oms.testing.ordering import PROVIDER, place, report_refund, result, stock_of
from oms.tests.concurrency.order_model import BACKORDERABLE, PRICES
from orders.models import Order, OrderItem
from orders.operations.cancellations import cancel_items
from orders.operations.cancelling import cancel_order
from orders.operations.editing import OrderEdit, edit_order
from orders.operations.fulfilling import ship_items
from orders.operations.quantities import ItemQuantity
from orders.operations.receiving import ReceivedItem, record_return
from orders.operations.refunding import refund_payment
from orders.operations.requesting_payments import pay_order
from orders.operations.status_changes import set_order_status
from orders.placements import OrderedItem, PaymentChoice
from orders.states import OrderStatus, ReturnOutcome
from payments.gateways.base import ChargeStatus
from payments.models import Payment, Refund
from payments.operations.outcomes import record_charge
from payments.queries import PaymentTotals, totals_of_orders
from payments.states import OPEN_REFUNDS

STAFF = system("tests")
LOCATIONS = ("main", "second")
AT_ONCE = 4


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call of the shop, and the same call of the model: the name and arguments of its method.

    With `reports` what the shop returns is the first of them.
    """

    name: str
    arguments: tuple[Any, ...]
    run: Callable[[], Any]
    reports: bool = False


class Shop:
    """The shop, and the calls that can be made in it."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.customer = make_customer()
        self.products = [
            make_product(stock=12, price=price, backorderable=number == BACKORDERABLE)
            for number, price in enumerate(PRICES)
        ]
        make_location(code="second")

    def calls(self) -> Sequence[Call]:
        """As many calls as are made at once, most of them of orders that there are."""
        orders = list(Order.objects.order_by("id"))
        names = ["place", "adjust", "transfer"] + (6 * list(BUILDERS) if orders else [])
        names = self.random.sample(names, k=min(AT_ONCE, len(names)))
        return [self.call(name, orders) for name in names]

    def call(self, name: str, orders: Sequence[Order]) -> Call:
        if name == "place":
            quantities, pays = self.quantities([0, 1]), self.random.random() < 0.7
            run: Callable[[], Any] = partial(self.place, quantities, pays)
            return Call(name=name, arguments=(quantities, pays), run=run, reports=True)
        product, location = self.random.choice([0, 1]), self.random.choice(LOCATIONS)
        if name == "adjust":
            run = partial(self.adjust, product, location, self.random.choice([-6, -2, 1, 5]))
            return Call(name=name, arguments=(product,), run=run, reports=True)
        if name == "transfer":
            # Where the stock is, the model does not know.
            run = partial(self.transfer, product, location, self.random.randint(1, 6))
            return Call(name="adjust", arguments=(0, product), run=run)
        # Often the same few orders, so that the calls meet.
        order = self.random.choice(orders[-4:])
        method, build = BUILDERS[name]
        arguments, run = build(self, order)
        reports = name == "charge"
        return Call(name=method, arguments=(order.id, *arguments), run=run, reports=reports)

    def quantities(self, products: Iterable[int]) -> dict[int, int]:
        return {product: self.random.randint(1, 4) for product in products}

    def ordered(self, quantities: Mapping[int, int]) -> list[OrderedItem]:
        return [
            OrderedItem(product_id=self.products[number].id, quantity=quantity)
            for number, quantity in quantities.items()
        ]

    def place(self, quantities: dict[int, int], pays: bool) -> UUID:
        lines = [(self.products[number], quantity) for number, quantity in quantities.items()]
        order = place(*lines, customer=self.customer, token="tok_success" if pays else "")
        claim(order.id)
        return order.id

    def adjust(self, product: int, location: str, delta: int) -> int:
        """Change what is on hand; returns by how much, nothing if less than that is there."""
        try:
            adjust_stock(
                actor=STAFF,
                product_id=self.products[product].id,
                amount=Change(delta=delta),
                reason=AdjustmentReason.CORRECTION,
                location=location,
            )
        except StockConflict:
            return 0
        return delta

    def transfer(self, product: int, to: str, quantity: int) -> None:
        """Transfer that much, if it is there."""
        [source] = set(LOCATIONS) - {to}
        line = StockLine(product_id=self.products[product].id, quantity=quantity)
        with suppress(StockLinesConflict):
            transfer_stock(
                actor=STAFF, reference=str(new_id()), lines=[line], from_location=source, to=to
            )

    def line(self, order: Order) -> tuple[int, UUID]:
        """One of the order's lines: the number of its product, and its id."""
        product = self.random.choice([0, 1])
        return product, OrderItem.objects.get(order=order, product=self.products[product]).id

    def work(self) -> None:
        """What the workers do: the orders handle events of payments and stock, refunds are made."""
        for _ in range(2):
            for refund in Refund.objects.filter(status__in=OPEN_REFUNDS):
                report_refund(refund)
            wait_until_readable()
            for consumer in CONSUMERS:
                deliver(consumer)

    def view(self) -> tuple[object, ...]:
        numbers = {product.id: number for number, product in enumerate(self.products)}
        payments = totals_of_orders(Order.objects.values_list("id", flat=True))
        nothing = PaymentTotals()
        return (
            tuple(stock_of(product) for product in self.products),
            {
                order.id: (
                    order.status,
                    order.total,
                    payments.get((order.id, order.currency), nothing).captured,
                    payments.get((order.id, order.currency), nothing).refunded,
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


def claim(order_id: UUID) -> None:
    """Let a worker claim the order's payment: it can't be called back any more."""
    Payment.objects.filter(order_id=order_id, status="created").update(status="processing")


def edit(shop: Shop, order: Order) -> Built:
    numbers = {product.id: number for number, product in enumerate(shop.products)}
    quantities = shop.quantities(numbers[item.product_id] for item in order.items.all())
    change = OrderEdit(items=shop.ordered(quantities))
    return (quantities,), partial(edit_order, actor=STAFF, order_id=order.id, edit=change)


def pay(shop: Shop, order: Order) -> Built:
    choice = PaymentChoice(provider="sandbox", token="tok_success")

    @transaction
    def run() -> None:
        pay_order(actor=STAFF, order_id=order.id, choice=choice)
        claim(order.id)

    return (), run


def charge(shop: Shop, order: Order) -> Built:
    def run() -> bool:
        payment = Payment.objects.filter(order_id=order.id).order_by("id").last()
        # However often it is asked, the provider says the same of one payment.
        succeeds = payment is not None and payment.id.int % 4 > 0
        if payment is not None:
            status = ChargeStatus.CAPTURED if succeeds else ChargeStatus.DECLINED
            outcome = result(payment, status)
            record_charge(actor=PROVIDER, payment_id=payment.id, result=outcome)
        return succeeds

    return (), run


def refund(shop: Shop, order: Order) -> Built:
    amount = shop.random.choice([None, Decimal("10.00"), Decimal("30.00")])
    payment = Payment.objects.filter(order_id=order.id).order_by("id").last()
    id = payment.id if payment else order.id
    return (amount,), partial(refund_payment, actor=STAFF, payment_id=id, amount=amount)


def take_back(shop: Shop, order: Order) -> Built:
    product, id = shop.line(order)
    restock, with_refund = shop.random.choice([True, False]), shop.random.choice([True, False])
    outcome = ReturnOutcome.RESTOCK if restock else ReturnOutcome.UNUSABLE
    items = [ReceivedItem(order_item_id=id, quantity=1, outcome=outcome)]
    run = partial(record_return, actor=STAFF, order_id=order.id, items=items, refund=with_refund)
    return (product, restock, with_refund), run


# The methods of the model, and what builds calls of them.
BUILDERS: dict[str, tuple[str, Callable[[Shop, Order], Built]]] = {
    "edit": ("edit", edit),
    "pay": ("pay", pay),
    "confirm": ("confirm", of_order(set_order_status, status=OrderStatus.CONFIRMED)),
    "cancel": ("cancel", of_order(cancel_order)),
    "cancel_some": ("cancel_some", of_line(cancel_items)),
    "ship": ("ship", of_order(ship_items)),
    "ship_some": ("ship", of_line(ship_items)),
    "deliver": ("deliver", of_order(set_order_status, status=OrderStatus.DELIVERED)),
    "charge": ("charge", charge),
    "refund": ("refund", refund),
    "take_back": ("take_back", take_back),
}
