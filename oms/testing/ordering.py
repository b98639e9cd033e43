"""Orders, their payments and the news between them, for tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from threading import Barrier, Thread
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection, transaction

from inventory.models import Product, StockLevel
from oms.core.actor import system
from oms.events.models import ConsumerOffset, Event
from oms.events.relaying import recorded
from oms.testing.factories import actor_for, make_customer
from oms.users.models import User
from orders.models import Order
from orders.operations.paying import HEARD, hear_of_payments
from orders.operations.placing import OrderedItem, PaymentChoice, Placement, place_order
from payments.gateways.base import ChargeResult, ChargeStatus
from payments.models import Payment
from payments.operations.outcomes import record_charge

ADDRESS = {
    "name": "Ada Lovelace",
    "line1": "Rosenthaler Straße 40",
    "line2": "",
    "city": "Berlin",
    "postal_code": "10178",
    "region": "",
    "country": "DE",
}
PROVIDER = system("sandbox")

T = TypeVar("T")


def placement(
    *lines: tuple[Product | UUID, int], customer: User, token: str = "", note: str = ""
) -> Placement:
    """What `customer` wants: products and quantities, paid by the sandbox's `token` if given."""
    return Placement(
        customer_id=customer.id,
        items=[
            OrderedItem(
                product_id=product.id if isinstance(product, Product) else product,
                quantity=quantity,
            )
            for product, quantity in lines
        ],
        shipping_address=dict(ADDRESS),
        payment=PaymentChoice(provider="sandbox", token=token) if token else None,
        note=note,
    )


def place(
    *lines: tuple[Product | UUID, int], customer: User | None = None, token: str = ""
) -> Order:
    """An order that was just placed, by a customer of its own if none is given."""
    customer = customer or make_customer()
    placed = place_order(
        actor=actor_for(customer), placement=placement(*lines, customer=customer, token=token)
    )
    return placed.order


def payment_of(order: Order) -> Payment:
    """The newest payment of the order."""
    return Payment.objects.filter(order_id=order.id).latest("id")


def result(
    payment: Payment, status: ChargeStatus = ChargeStatus.CAPTURED, **values: Any
) -> ChargeResult:
    """What a provider says of a charge of `payment`."""
    captured = payment.amount if status is ChargeStatus.CAPTURED else Decimal(0)
    values = {
        "provider_reference": f"ch_{payment.id}",
        "amount": payment.amount,
        "currency": payment.currency,
        "captured_amount": captured,
        "refunded_amount": Decimal(0),
        "decline_code": "card_declined" if status is ChargeStatus.DECLINED else "",
        **values,
    }
    return ChargeResult(status=status, **values)


def report(order: Order, status: ChargeStatus = ChargeStatus.CAPTURED) -> bool:
    """Let the provider say that of the order's newest payment; whether it was news."""
    payment = payment_of(order)
    return record_charge(actor=PROVIDER, payment_id=payment.id, result=result(payment, status))


def settle() -> None:
    """Let orders hear what happened to payments since the last time, as the relay does."""
    with transaction.atomic():
        offset, _ = ConsumerOffset.objects.get_or_create(consumer="tests")
        events = list(Event.objects.filter(position__gt=offset.position).order_by("position"))
        types = {fact.type for fact in HEARD}
        hear_of_payments([recorded(event) for event in events if event.type in types])
        if events:
            ConsumerOffset.objects.filter(pk="tests").update(position=events[-1].position)


def paid_order(*lines: tuple[Product | UUID, int], customer: User | None = None) -> Order:
    """An order whose payment was captured and which is confirmed by that."""
    order = place(*lines, customer=customer, token="tok_success")  # noqa: S106
    report(order)
    settle()
    order.refresh_from_db()
    return order


def stock_of(product: Product) -> tuple[int, int]:
    """Pieces of the product on hand and reserved, at all locations together."""
    levels = StockLevel.objects.filter(product=product)
    return sum(level.on_hand for level in levels), sum(level.reserved for level in levels)


def steps_of(order: Order) -> list[str]:
    """The types of the order's own events, oldest first."""
    events = Event.objects.filter(object_id=order.id).order_by("position")
    return list(events.values_list("type", flat=True))


def at_once(works: Sequence[Callable[[], T]]) -> list[T | Exception]:
    """What each of `works` returned or raised, each in a thread and on a connection of its own.

    They begin together, once every one of them has its connection.
    """
    barrier = Barrier(len(works))
    outcomes: list[T | Exception] = [AssertionError("It never ended.")] * len(works)

    def run(number: int, work: Callable[[], T]) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(timeout=30)
            outcomes[number] = work()
        except Exception as error:  # handed to the test, which says what it expects
            outcomes[number] = error
        finally:
            connection.close()

    threads = [
        Thread(target=run, args=(number, work), daemon=True) for number, work in enumerate(works)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return outcomes
