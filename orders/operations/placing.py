"""Placing orders: many at once, in one transaction, with a constant number of statements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from django.conf import settings

from inventory.locks import lock_stock_levels
from inventory.operations.stock import Cause, StockAllocator
from oms.core import clock
from oms.core.actor import Actor
from oms.core.dry_runs import current_dry_run
from oms.core.errors import Invalid, OperationError, PermissionDenied
from oms.core.ids import new_id, order_number
from oms.core.money import formatted
from oms.core.permissions import Permission
from oms.db.bulk_writes import insert_rows
from oms.db.pipeline import Pipeline
from oms.db.transactions import transaction, transaction_required
from oms.events.publishing import publish_all
from oms.events.types import DomainEvent
from orders.errors import ReferenceTaken, RejectedWithOthers
from orders.events import OrderConfirmed, OrderPlaced
from orders.locks import lock_references
from orders.models import Order, OrderItem
from orders.operations.transitions import stock_reference
from orders.operations.validation import check_sellable, check_stock
from orders.placements import Outcome, Placed, Placement, PlacingCall, Reference
from orders.rows import ItemRow, OrderRow
from orders.states import FulfilmentState, OrderStatus, PaymentState
from orders.totals import PricedLine, order_totals
from payments.operations.attempts import NewPayment, create_payments
from payments.states import CaptureMethod

# Columns that are empty for most orders.
_RARE_OF_ORDERS = ("billing_address", "internal_note", "reference", "metadata", "language")
_RARE_OF_ITEMS = ("quantity_waiting", "quantity_cancelled")


@dataclass(kw_only=True, slots=True)
class _Batch:
    """What one transaction will write."""

    stock: StockAllocator
    at: datetime
    # Those that orders have already, and those of this batch.
    taken: set[Reference] = field(default_factory=set)
    placed: list[Placed] = field(default_factory=list)
    payments: list[NewPayment] = field(default_factory=list)
    events: list[tuple[DomainEvent, Actor]] = field(default_factory=list)


@transaction
def place_orders(
    *, actor: Actor, placements: Sequence[Placement], all_or_nothing: bool = False
) -> list[Outcome]:
    """Place the orders that can be, in the order given, and reserve their stock.

    Returns for each placement its order, or the error: OutOfStock with every short line, Invalid
    for a product that is not sold or of another currency, ReferenceTaken, or PermissionDenied for
    another customer's order or an internal note. A rejected placement changes nothing and does not
    affect the others; but with `all_or_nothing` nothing is placed if any is
    rejected, and the others get RejectedWithOthers. The number of statements does not
    depend on how many placements there are.
    """
    call = PlacingCall(actor=actor, placements=placements, all_or_nothing=all_or_nothing)
    references = {
        Reference(placement.customer_id, placement.reference)
        for placement in placements
        if placement.reference is not None
    }
    with Pipeline() as pipeline:
        taken = lock_references(references, pipeline=pipeline)
        levels = lock_stock_levels(
            (item.product_id for placement in placements for item in placement.items),
            pipeline=pipeline,
        )
        [outcomes] = place_together(
            calls=[call],
            stock=StockAllocator(levels.rows()),
            taken=taken.rows() if taken else (),
            pipeline=pipeline,
        )
    return outcomes


def place_order(*, actor: Actor, placement: Placement) -> Placed:
    """Place one order. Raises OutOfStock, Invalid or PermissionDenied."""
    [outcome] = place_orders(actor=actor, placements=[placement])
    if isinstance(outcome, OperationError):
        raise outcome
    return outcome


@transaction_required
def place_together(
    *,
    calls: Sequence[PlacingCall],
    stock: StockAllocator,
    taken: Iterable[Reference] = (),
    pipeline: Pipeline,
) -> list[list[Outcome]]:
    """`place_orders` for many callers in one transaction: the outcomes of each call.

    The calls are decided in the order given; all they share are the stock and the references.
    `stock` holds the locked levels of all their products, `taken` are those of their references,
    all locked, that orders have; the writes are queued in `pipeline`.
    """
    batch = _Batch(stock=stock, at=clock.now(), taken=set(taken))
    outcomes = [_decided(call, batch=batch) for call in calls]
    _save(batch, pipeline)
    return outcomes


def _decided(call: PlacingCall, *, batch: _Batch) -> list[Outcome]:
    own = _Batch(stock=batch.stock, at=batch.at, taken=set(batch.taken))
    savepoint = batch.stock.savepoint()
    outcomes = [_placed(placement, actor=call.actor, batch=own) for placement in call.placements]
    if call.all_or_nothing and len(own.placed) < len(outcomes):
        batch.stock.rollback(savepoint)
        return [
            outcome if isinstance(outcome, OperationError) else RejectedWithOthers()
            for outcome in outcomes
        ]
    batch.taken = own.taken
    batch.placed += own.placed
    batch.payments += own.payments
    batch.events += own.events
    return outcomes


def _placed(placement: Placement | Invalid, *, actor: Actor, batch: _Batch) -> Outcome:
    if isinstance(placement, Invalid):
        return placement
    refusal = _refusal(placement, actor=actor, batch=batch)
    if refusal is not None:
        return refusal
    placed = _built(placement, batch=batch)
    order = placed.order
    cause = Cause(actor=actor, reference=stock_reference(order), order_id=order.id)
    waiting = [
        batch.stock.reserve(item.product_id, item.quantity, cause=cause, place=order.id)
        for item in placement.items
    ]
    if any(waiting):
        lines = zip(placed.items, waiting, strict=True)
        items = tuple(item._replace(quantity_waiting=quantity) for item, quantity in lines)
        placed = Placed(order=order, items=items)
    batch.placed.append(placed)
    if placement.reference is not None:
        batch.taken.add(Reference(placement.customer_id, placement.reference))
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


def _refusal(placement: Placement, *, actor: Actor, batch: _Batch) -> OperationError | None:
    is_by_staff = not actor.owns(placement.customer_id) or bool(placement.internal_note)
    if is_by_staff and not actor.may(Permission.ORDERS_PLACE_FOR_CUSTOMER):
        return PermissionDenied(Permission.ORDERS_PLACE_FOR_CUSTOMER)
    if placement.reference is not None:
        reference = Reference(placement.customer_id, placement.reference)
        if reference in batch.taken:
            return ReferenceTaken(placement.reference)
    return check_sellable(placement.items, stock=batch.stock) or check_stock(
        placement.items, stock=batch.stock
    )


def _built(placement: Placement, *, batch: _Batch) -> Placed:
    products = [batch.stock.product(item.product_id) for item in placement.items]
    known = [product for product in products if product is not None]
    currency = known[0].currency
    totals = order_totals(
        (
            PricedLine(unit_price=product.price, quantity=item.quantity)
            for product, item in zip(known, placement.items, strict=True)
        ),
        currency=currency,
    )
    order = _new_order(placement, total=totals.total, currency=currency, at=batch.at)
    items = tuple(
        ItemRow(
            id=new_id(),
            product_id=product.product_id,
            sku=product.sku,
            name=product.name,
            quantity=item.quantity,
            unit_price=formatted(product.price, currency),
            line_total=formatted(line_total, currency),
            quantity_waiting=0,
            quantity_shipped=0,
            quantity_returned=0,
            quantity_cancelled=0,
        )
        for product, item, line_total in zip(known, placement.items, totals.lines, strict=True)
    )
    return Placed(order=order, items=items)


def _new_order(placement: Placement, *, total: Decimal, currency: str, at: datetime) -> OrderRow:
    is_free = total == 0
    payment_status = PaymentState.UNPAID
    if is_free:
        payment_status = PaymentState.PAID
    elif placement.payment is not None:
        payment_status = PaymentState.PROCESSING
    return OrderRow(
        id=new_id(),
        number=order_number(placed_at=at),
        customer_id=placement.customer_id,
        status=OrderStatus.CONFIRMED if is_free else OrderStatus.PENDING,
        payment_status=payment_status,
        fulfilment_status=FulfilmentState.UNFULFILLED,
        currency=currency,
        total=total,
        shipping_address=placement.shipping_address,
        billing_address=placement.billing_address,
        note=placement.note,
        internal_note=placement.internal_note,
        reference=placement.reference,
        metadata=placement.metadata,
        language=placement.language,
        placed_at=at,
        expires_at=None if is_free else at + settings.ORDER_EXPIRY,
        confirmed_at=at if is_free else None,
        updated_at=at,
        version=1,
    )


def _events(order: OrderRow) -> list[DomainEvent]:
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


def _save(batch: _Batch, pipeline: Pipeline) -> None:
    if (run := current_dry_run()) is not None:
        for placed in batch.placed:
            run.change_total(placed.order.total, placed.order.currency)
    insert_rows(
        Order,
        OrderRow._fields,
        (placed.order for placed in batch.placed),
        optional=_RARE_OF_ORDERS,
        pipeline=pipeline,
    )
    insert_rows(
        OrderItem,
        ("order_id", "position", *ItemRow._fields),
        (
            (placed.order.id, position, *item)
            for placed in batch.placed
            for position, item in enumerate(placed.items)
        ),
        optional=_RARE_OF_ITEMS,
        pipeline=pipeline,
    )
    create_payments(batch.payments, at=batch.at, pipeline=pipeline)
    batch.stock.save(at=batch.at, pipeline=pipeline)
    publish_all(batch.events, at=batch.at, pipeline=pipeline)
