"""A shop with at least one row of every kind that the back office shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from django.contrib.auth.models import Group
from django.utils import timezone

from inventory.models import Product, StockAlert
from inventory.operations.counting import count_stock
from inventory.operations.documents import StockLine
from notifications.models import Channel, DeliveryState, Kind, Notification
from oms.core.ids import new_id
from oms.events.models import ConsumerOffset, DeadLetter, Event
from oms.exceptions.kinds import ExceptionKind
from oms.exceptions.models import ExceptionRecord
from oms.testing.factories import (
    actor_for,
    make_customer,
    make_location,
    make_product,
    make_staff,
    tokens_for,
)
from oms.testing.ordering import ADDRESS, payment_of, placement, report, settle
from oms.users.models import User
from orders.models import Order
from orders.operations.fulfilling import ship_items
from orders.operations.placing import place_order
from orders.operations.returns import ReturnedItem, request_return
from payments.models import ProviderMessage, Refund
from reports.operations.reporting import close_days


@dataclass(frozen=True, kw_only=True)
class CompleteShop:
    customer: User
    product: Product
    order: Order
    """It is paid and shipped, and a return of it is requested."""
    waiting_order: Order
    """It is paid, and not shipped."""


def make_complete_shop(*, text: str = "", address: Mapping[str, str] = ADDRESS) -> CompleteShop:
    """The shop; with `text` all that people may write, such as names and notes, is that text."""
    staff = make_staff(is_superuser=True, full_name=text or "Sam Staff")
    customer = make_customer(full_name=text or "Carla Customer")
    tokens_for(customer)
    product = make_product(stock=8, name=text or "Cup", description=text)
    make_location(name=text[:100] or "Store")
    count_stock(
        actor=actor_for(staff),
        reference=text[:64] or "C-1",
        lines=[StockLine(product_id=product.id, quantity=8)],
    )
    orders = [
        _paid_order(product, customer=customer, note=text or "Ring twice", address=address)
        for _ in range(2)
    ]
    ship_items(
        actor=actor_for(staff),
        order_id=orders[0].pk,
        carrier=text[:100] or "DHL",
        tracking_number=text[:100] or "T1",
    )
    [item] = orders[0].items.all()
    request_return(
        actor=actor_for(customer),
        order_id=orders[0].pk,
        items=[ReturnedItem(order_item_id=item.pk, quantity=1, reason=text[:500] or "Chipped")],
    )
    payment = payment_of(orders[0])
    Refund.objects.create(
        payment=payment, order_id=orders[0].pk, amount=1, currency="EUR", reason=text or "late"
    )
    ProviderMessage.objects.create(
        provider="sandbox",
        message_id="m1",
        type=text[:50] or "x",
        body={"note": text},
        received_at=timezone.now(),
    )
    Notification.objects.create(
        event_id=new_id(),
        recipient=customer,
        email=customer.email,
        channel=Channel.EMAIL,
        kind=Kind.ORDER_PAID,
        subject=text[:150] or "Paid",
        body=text or "Thanks",
        body_html=text,
        order_id=orders[0].pk,
        state=DeliveryState.DEAD,
        attempts=9,
        next_attempt_at=None,
        last_error=text,
    )
    event = Event.objects.latest("position")
    DeadLetter.objects.create(
        consumer="orders",
        event=event,
        attempts=8,
        last_error=text or "ValueError()",
        next_attempt_at=None,
    )
    ConsumerOffset.objects.get_or_create(consumer="orders")
    ExceptionRecord.objects.create(
        kind=ExceptionKind.STOCK_LOST,
        subject=f"order:{orders[0].pk}",
        cause=text[:500] or "A cup is broken.",
        since=timezone.now(),
        order_id=orders[0].pk,
        note=text[:500],
    )
    close_days(now=orders[0].placed_at + timedelta(days=3))
    StockAlert.objects.create(product=product, customer=customer)
    Group.objects.create(name=text[:150] or "Packers")
    for order in orders:
        order.refresh_from_db()
    return CompleteShop(
        customer=customer, product=product, order=orders[0], waiting_order=orders[1]
    )


def _paid_order(
    product: Product, *, customer: User, note: str, address: Mapping[str, str]
) -> Order:
    wanted = placement((product, 2), customer=customer, token="tok_success", note=note)  # noqa: S106
    placed = place_order(
        actor=actor_for(customer), placement=replace(wanted, shipping_address=dict(address))
    )
    order = Order.objects.get(pk=placed.order.id)
    report(order)
    settle()
    return order
