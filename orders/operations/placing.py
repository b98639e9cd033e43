"""Placing orders: many at once, in one transaction, with a constant number of statements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.conf import settings

from inventory.operations.stock import Cause, StockAllocator, opening_stock_allocator
from oms.core import clock
from oms.core.actor import Actor
from oms.core.errors import OperationError
from oms.core.ids import new_id, order_number
from oms.db.bulk_writes import written_together
from oms.db.transactions import transaction, transaction_required
from oms.events.publishing import publish_all
from oms.events.types import DomainEvent
from orders.errors import RejectedWithOthers
from orders.events import OrderConfirmed, OrderPlaced
from orders.operations.bulk_insert import insert_items, insert_orders
from orders.operations.transitions import stock_reference
from orders.operations.validation import check_sellable, check_stock
from orders.placements import NewItem, NewOrder, Outcome, Placed, Placement, PlacingCall
from orders.states import OrderStatus, PaymentState
from orders.totals import PricedLine, order_totals
from payments.operations.attempts import NewPayment, create_payments
from payments.states import CaptureMethod


@dataclass(kw_only=True, slots=True)
class _Batch:
    """What one transaction is going to write."""

    book: StockAllocator
    at: datetime
    placed: list[Placed] = field(default_factory=list)
    payments: list[NewPayment] = field(default_factory=list)
    events: list[tuple[DomainEvent, Actor]] = field(default_factory=list)


def place_orders(
    *, actor: Actor, placements: Sequence[Placement], all_or_nothing: bool = False
) -> list[Outcome]:
    """Place the orders that can be, in the order given; the stock of those is reserved.

    Returns for each placement its order, or the refusal: OutOfStock with every short line, or
    Invalid for a product that is not sold or of another currency. A refused placement changes
    nothing and does not disturb the others; but with `all_or_nothing` one refusal is enough for
    nothing to be placed, and the innocent get RejectedWithOthers. The number of statements does not
    depend on how many placements there are.
    """
    call = PlacingCall(actor=actor, placements=placements, all_or_nothing=all_or_nothing)
    [outcomes] = place_together(calls=[call])
    return outcomes


def place_order(*, actor: Actor, placement: Placement) -> Placed:
    """Place one order. Raises OutOfStock or Invalid."""
    [outcome] = place_orders(actor=actor, placements=[placement])
    if isinstance(outcome, OperationError):
        raise outcome
    return outcome


@transaction
def place_together(
    *, calls: Sequence[PlacingCall], book: StockAllocator | None = None
) -> list[list[Outcome]]:
    """`place_orders` for many callers in one transaction: the outcomes of each call.

    The calls are decided in the order given, and none knows of the others but by the stock. `book`
    is that of `opening_book`, if the caller asked for it before.
    """
    if book is None:
        book = opening_book(placement for call in calls for placement in call.placements)()
    batch = _Batch(book=book, at=clock.now())
    outcomes = [_decided(call, batch=batch) for call in calls]
    with written_together():
        _save(batch)
    return outcomes


@transaction_required
def opening_book(placements: Iterable[Placement]) -> Callable[[], StockAllocator]:
    """Ask for the book of all that is wanted; it is fetched by calling what is returned."""
    return opening_stock_allocator(item.product_id for one in placements for item in one.items)


def _decided(call: PlacingCall, *, batch: _Batch) -> list[Outcome]:
    own = _Batch(book=batch.book, at=batch.at)
    mark = batch.book.savepoint()
    outcomes = [_placed(placement, actor=call.actor, batch=own) for placement in call.placements]
    if call.all_or_nothing and len(own.placed) < len(outcomes):
        batch.book.rollback(mark)
        return [
            outcome if isinstance(outcome, OperationError) else RejectedWithOthers()
            for outcome in outcomes
        ]
    batch.placed += own.placed
    batch.payments += own.payments
    batch.events += own.events
    return outcomes


def _placed(placement: Placement, *, actor: Actor, batch: _Batch) -> Outcome:
    refusal = check_sellable(placement.items, book=batch.book) or check_stock(
        placement.items, book=batch.book
    )
    if refusal is not None:
        return refusal
    placed = _built(placement, batch=batch)
    order = placed.order
    cause = Cause(actor=actor, reference=stock_reference(order), order_id=order.id)
    for item in placement.items:
        batch.book.reserve(item.product_id, item.quantity, cause=cause)
    batch.placed.append(placed)
    batch.events.extend((event, actor) for event in _events(order))
    if placement.payment is not None and order.total:
        payment = NewPayment(
            id=new_id(),
            order_id=order.id,
            provider=placement.payment.provider,
            token=placement.payment.token,
            amount=order.total,
            currency=order.currency,
            capture_method=CaptureMethod(settings.PAYMENT_CAPTURE),
        )
        batch.payments.append(payment)
        batch.events.append((payment.requested(), actor))
    return placed


def _built(placement: Placement, *, batch: _Batch) -> Placed:
    order_id = new_id()
    products = [batch.book.product(item.product_id) for item in placement.items]
    known = [product for product in products if product is not None]
    totals = order_totals(
        PricedLine(unit_price=product.price, quantity=item.quantity)
        for product, item in zip(known, placement.items, strict=True)
    )
    order = _new_order(
        placement, id=order_id, total=totals.total, currency=known[0].currency, at=batch.at
    )
    items = tuple(
        NewItem(
            id=new_id(),
            order_id=order_id,
            product_id=product.product_id,
            position=position,
            sku=product.sku,
            name=product.name,
            quantity=item.quantity,
            unit_price=product.price,
            line_total=line_total,
        )
        for position, (product, item, line_total) in enumerate(
            zip(known, placement.items, totals.lines, strict=True)
        )
    )
    return Placed(order=order, items=items)


def _new_order(
    placement: Placement, *, id: UUID, total: Decimal, currency: str, at: datetime
) -> NewOrder:
    is_free = total == 0
    payment_status = PaymentState.UNPAID
    if is_free:
        payment_status = PaymentState.PAID
    elif placement.payment is not None:
        payment_status = PaymentState.PROCESSING
    return NewOrder(
        id=id,
        number=order_number(placed_at=at),
        customer_id=placement.customer_id,
        status=OrderStatus.CONFIRMED if is_free else OrderStatus.PENDING,
        payment_status=payment_status,
        currency=currency,
        total=total,
        shipping_address=placement.shipping_address,
        note=placement.note,
        placed_at=at,
        expires_at=None if is_free else at + settings.ORDER_EXPIRY,
        confirmed_at=at if is_free else None,
        updated_at=at,
    )


def _events(order: NewOrder) -> list[DomainEvent]:
    events: list[DomainEvent] = [
        OrderPlaced(
            order_id=order.id,
            number=order.number,
            customer_id=order.customer_id,
            status=OrderStatus.PENDING.value,
            total=order.total,
            currency=order.currency,
        )
    ]
    if order.status == OrderStatus.CONFIRMED:
        events.append(
            OrderConfirmed(
                order_id=order.id,
                number=order.number,
                customer_id=order.customer_id,
                previous_status=OrderStatus.PENDING.value,
                status=OrderStatus.CONFIRMED.value,
                reason="nothing to pay",
            )
        )
    return events


def _save(batch: _Batch) -> None:
    insert_orders([placed.order for placed in batch.placed])
    insert_items([item for placed in batch.placed for item in placed.items])
    create_payments(batch.payments, at=batch.at)
    batch.book.save(at=batch.at)
    publish_all(batch.events, at=batch.at)
