"""Orders, their payments and the events between them, for tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from inventory.models import Product, StockLevel
from oms.core.actor import system
from oms.events.models import ConsumerOffset, Event
from oms.events.relay import Consumer, deliver, recorded
from oms.testing.event_log import wait_until_readable
from oms.testing.factories import actor_for, make_customer, make_staff
from oms.testing.threads import at_once
from oms.users.models import User
from orders.models import Order
from orders.operations.fulfilling import ship_items
from orders.operations.paying import EVENT_TYPES, apply_payment_events
from orders.operations.placing import place_order
from orders.operations.refunding import refund_payment
from orders.placements import OrderedItem, PaymentChoice, Placement
from payments.gateways.base import ChargeResult, ChargeStatus, RefundResult
from payments.gateways.base import RefundStatus as RefundOutcome
from payments.models import Payment, Refund
from payments.operations.outcomes import record_charge, record_refund

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


def placement(
    *lines: tuple[Product | UUID, int], customer: User, token: str = "", note: str = ""
) -> Placement:
    """An order request: products and quantities, paid by the sandbox's `token` if given."""
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
    return Order.objects.get(pk=placed.order.id)


def payment_of(order: Order) -> Payment:
    """The latest payment of the order."""
    return Payment.objects.filter(order_id=order.id).latest("id")


def result(
    payment: Payment, status: ChargeStatus = ChargeStatus.CAPTURED, **values: Any
) -> ChargeResult:
    """A provider's result of charging `payment`."""
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
    """Record that result of the order's latest payment; returns whether it changed anything."""
    payment = payment_of(order)
    return record_charge(actor=PROVIDER, payment_id=payment.id, result=result(payment, status))


def report_refund(refund: Refund, status: RefundOutcome = RefundOutcome.SUCCEEDED) -> bool:
    """Record that result of the refund; returns whether it changed anything."""
    outcome = RefundResult(
        status=status,
        provider_reference=f"re_{refund.id}",
        charge_reference=refund.payment.provider_reference,
        amount=refund.amount,
    )
    return record_refund(actor=PROVIDER, refund_id=refund.id, result=outcome)


def settle() -> None:
    """Apply the payment events since the last call to the orders.

    Transactional tests use the relay, once the log is readable. In other tests the relay can't read
    what the test's own transaction has written, so the events are passed on directly.
    """
    if not connection.in_atomic_block:
        wait_until_readable()
        relay_payment_events()
        return
    offset, _ = ConsumerOffset.objects.get_or_create(consumer="tests")
    events = list(Event.objects.filter(position__gt=offset.position).order_by("position"))
    types = {fact.type for fact in EVENT_TYPES}
    with transaction.atomic():
        apply_payment_events([recorded(event) for event in events if event.type in types])
    if events:
        ConsumerOffset.objects.filter(pk="tests").update(position=events[-1].position)


def relay_payment_events() -> None:
    """Apply the payment events that are readable now, as the relay's task does."""
    deliver(Consumer(name="tests", event_types=EVENT_TYPES, handle=apply_payment_events))


def paid_order(*lines: tuple[Product | UUID, int], customer: User | None = None) -> Order:
    """An order whose payment was captured and which is confirmed by that."""
    order = place(*lines, customer=customer, token="tok_success")  # noqa: S106
    report(order)
    settle()
    order.refresh_from_db()
    return order


def shipped_order(*lines: tuple[Product | UUID, int], customer: User | None = None) -> Order:
    """A paid order of which everything was shipped."""
    order = paid_order(*lines, customer=customer)
    ship_items(actor=actor_for(make_staff()), order_id=order.id)
    order.refresh_from_db()
    return order


def refund_of(payment: Payment, **values: Any) -> Refund:
    """A refund of the payment that staff have requested; `values` as for `refund_payment`."""
    requested = refund_payment(actor=actor_for(make_staff()), payment_id=payment.id, **values)
    return Refund.objects.get(pk=requested.id)


def stock_of(product: Product) -> tuple[int, int]:
    """Units of the product on hand and reserved, at all locations together."""
    levels = StockLevel.objects.filter(product=product)
    return sum(level.on_hand for level in levels), sum(level.reserved for level in levels)


def status_changes_of(order: Order) -> list[str]:
    """The types of the order's own events, oldest first."""
    events = Event.objects.filter(object_id=order.id).order_by("position")
    return list(events.values_list("type", flat=True))


def outcomes_at_once(works: Sequence[Callable[[], Any]]) -> Sequence[Any]:
    """What each of `works` returned or raised; all start at once, each in its own thread."""

    def outcome_of(work: Callable[[], Any]) -> Any:
        try:
            return work()
        except Exception as error:  # returned to the test, which asserts on it
            return error

    return at_once(*[partial(outcome_of, work) for work in works])
