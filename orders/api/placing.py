"""Placing as clients speak of it: from what they sent to placements, from outcomes to documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from django.urls import reverse

from oms.core.actor import Actor
from oms.http.problems import problem_document
from orders.api.outputs import order_document
from orders.placements import OrderedItem, Outcome, PaymentChoice, Placed, Placement


def placement_of(data: Mapping[str, Any], *, customer_id: UUID) -> Placement:
    """What the validated data of an OrderInput ask for."""
    payment = data.get("payment")
    return Placement(
        customer_id=customer_id,
        items=ordered_items(data["items"]),
        shipping_address=dict(data["shipping_address"]),
        payment=None
        if payment is None
        else PaymentChoice(provider=payment["provider"], token=payment["token"]),
        note=data["note"],
    )


def ordered_items(lines: Sequence[Mapping[str, Any]]) -> list[OrderedItem]:
    """The items that the validated data of some OrderedItemInput name."""
    return [OrderedItem(product_id=line["product_id"], quantity=line["quantity"]) for line in lines]


def placed_document(placed: Placed, *, actor: Actor) -> dict[str, Any]:
    """What `actor` is shown of an order that was just placed."""
    return order_document(placed.order, placed.items, actor=actor)


def results_document(
    outcomes: Sequence[Outcome], *, actor: Actor, instance: str, request_id: str
) -> dict[str, Any]:
    """The results of a bulk request, in the order of its orders."""

    def result(number: int, outcome: Outcome) -> dict[str, Any]:
        if isinstance(outcome, Placed):
            return {"status": 201, "order": placed_document(outcome, actor=actor)}
        problem = problem_document(
            error=outcome,
            instance=instance,
            request_id=request_id,
            pointer_prefix=f"/orders/{number}",
        )
        return {"status": problem["status"], "problem": problem}

    return {"results": [result(number, outcome) for number, outcome in enumerate(outcomes)]}


def location_of(order_id: UUID) -> str:
    """The address of the order."""
    return _location().replace(_ANY, str(order_id))


_ANY = "00000000-0000-0000-0000-000000000000"


@cache
def _location() -> str:
    return reverse("order", kwargs={"id": _ANY})
