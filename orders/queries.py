"""Named reads of orders, complete with what their presentation needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import BooleanField, F, Func, Q, QuerySet
from django.db.models.functions import Reverse

from oms.core.actor import Actor, ActorKind
from oms.core.errors import NotFound
from oms.events.models import Event
from orders.models import Order, Shipment

# After every character of a number.
_LAST = "\U0010ffff"


@dataclass(frozen=True, kw_only=True)
class HistoryEntry:
    """One step of an order's status.

    `by` is who took it: to staff by label, to the customer by kind, unless it was the customer.
    """

    status: str
    at: datetime
    by: str
    reason: str


def all_orders() -> QuerySet[Order]:
    """Every order that is not deleted, with its items."""
    return Order.objects.filter(deleted_at=None).prefetch_related("items")


def orders_of(customer_id: UUID) -> QuerySet[Order]:
    """The customer's orders that are not deleted, with their items."""
    return all_orders().filter(customer_id=customer_id)


def orders_found(orders: QuerySet[Order], *, text: str) -> QuerySet[Order]:
    """Those of `orders` that each word of `text` fits, in whatever case.

    A word fits an order whose number begins or ends with it, or whose customer has it anywhere in
    the e-mail address or the name.
    """
    for word in text.split():
        orders = orders.filter(_is_any_of(_ids_fitting(word)))
    return orders


def _ids_fitting(word: str) -> QuerySet[Order, Any]:
    orders = Order.objects.filter(deleted_at=None).alias(end=Reverse("number")).order_by()
    begin, end = word.upper(), word.upper()[::-1]
    # As ranges, which an index answers whatever the word; of LIKE it would have to see the word.
    customers = Q(customer__email__icontains=word) | Q(customer__full_name__icontains=word)
    beginning = orders.filter(number__gte=begin, number__lt=begin + _LAST).values("pk")
    ending = orders.filter(end__gte=end, end__lt=end + _LAST).values("pk")
    return beginning.union(ending, orders.filter(customers).values("pk"), all=True)


def _is_any_of(ids: QuerySet[Order, Any]) -> Func:
    # An array is computed once and first. Of IN the planner may think that so many orders fit that
    # a page of them is soon met by walking through all orders, and walk to the end.
    return Func(
        F("pk"),
        ArraySubquery(ids),
        template="%(expressions)s)",
        arg_joiner=" = ANY(",
        output_field=BooleanField(),
    )


def find_order(order_id: UUID, *, actor: Actor) -> Order:
    """The order with its items. Raises NotFound if there is none that the actor may see."""
    order = all_orders().filter(pk=order_id).first()
    if order is None or not actor.may_see_of(order.customer_id):
        raise NotFound
    return order


def shipments_of(order_id: UUID) -> QuerySet[Shipment]:
    """The order's parcels with what is in them, oldest first."""
    return Shipment.objects.filter(order_id=order_id).prefetch_related("items").order_by("id")


def history_of(order_id: UUID, *, actor: Actor) -> Sequence[HistoryEntry]:
    """The steps of the order's status out of the event log, oldest first, as `actor` may see it."""
    return history_seen_by(actor, steps_of([order_id])[order_id])


def steps_of(order_ids: Iterable[UUID]) -> Mapping[UUID, Sequence[Event]]:
    """For each order the events that tell of its status, oldest first."""
    steps: dict[UUID, list[Event]] = {id: [] for id in order_ids}
    for event in Event.objects.filter(
        object_id__in=list(steps), object_type="order", data__has_key="status"
    ).order_by("position"):
        steps[event.object_id].append(event)
    return steps


def history_seen_by(actor: Actor, steps: Iterable[Event]) -> Sequence[HistoryEntry]:
    """The steps of one order as `actor` may see them."""
    return [
        HistoryEntry(
            status=event.data["status"],
            at=event.occurred_at,
            by=_seen_by(actor, event),
            reason=event.data.get("reason", ""),
        )
        for event in steps
    ]


def _seen_by(actor: Actor, event: Event) -> str:
    if actor.kind in (ActorKind.STAFF, ActorKind.SYSTEM) or actor.id == event.actor_id:
        return event.actor_label
    return event.actor_kind
