"""The handler of placing orders, one and many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from django.urls import reverse

from inventory.locks import lock_stock_levels
from inventory.operations.stock import StockAllocator
from oms.api.handlers import ApiAnswer, ApiCall, Handler
from oms.core.actor import Actor
from oms.core.errors import OperationError
from oms.db.pipeline import Pipeline
from oms.http.etags import etag_for
from oms.http.payloads import encode
from oms.http.problems import problem_document
from orders.api.outputs import order_document
from orders.operations.placing import place_together
from orders.placements import (
    OrderedItem,
    Outcome,
    PaymentChoice,
    Placed,
    Placement,
    PlacingCall,
)

_JSON = "application/json"


class PlaceOrders(Handler):
    """Places the orders of many calls, "one" order or "many" each, in one transaction."""

    is_write = True

    def __init__(
        self, calls: Sequence[ApiCall], *, pipeline: Pipeline, cache_version: str | None = None
    ) -> None:
        super().__init__(calls, pipeline=pipeline, cache_version=cache_version)
        orders = [data for call in calls for data in _orders(call)]
        self._levels = lock_stock_levels(
            (line["product_id"] for data in orders for line in data["items"]), pipeline=pipeline
        )

    def answers(self, calls: Sequence[ApiCall]) -> list[ApiAnswer]:
        outcomes = place_together(
            calls=[_placing_call(call) for call in calls],
            stock=StockAllocator(self._levels.rows()),
            pipeline=self.pipeline,
        )
        return [
            _many_placed(call, of_call) if call.name == "many" else _one_placed(call, of_call[0])
            for call, of_call in zip(calls, outcomes, strict=True)
        ]


def number_of_orders(data: Mapping[str, Any]) -> int:
    """How many orders the validated data of a BulkOrderInput have."""
    return len(data["orders"])


def ordered_items(lines: Sequence[Mapping[str, Any]]) -> list[OrderedItem]:
    """The items of the validated data of some OrderedItemInput."""
    return [OrderedItem(product_id=line["product_id"], quantity=line["quantity"]) for line in lines]


def _orders(call: ApiCall) -> Sequence[Mapping[str, Any]]:
    orders: Sequence[Mapping[str, Any]] = (
        call.data["orders"] if call.name == "many" else [call.data]
    )
    return orders


def _placing_call(call: ApiCall) -> PlacingCall:
    customer_id = call.actor.id
    assert customer_id is not None, "only signed-in callers may place orders"
    return PlacingCall(
        actor=call.actor,
        placements=[_placement(data, customer_id=customer_id) for data in _orders(call)],
        all_or_nothing=call.name == "many" and call.data["on_error"] == "reject_all",
    )


def _placement(data: Mapping[str, Any], *, customer_id: UUID) -> Placement:
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


def _one_placed(call: ApiCall, outcome: Outcome) -> ApiAnswer:
    if isinstance(outcome, OperationError):
        return call.refused(outcome)
    return ApiAnswer(
        status=201,
        body=encode(_document(outcome, actor=call.actor)),
        headers={
            "Content-Type": _JSON,
            "ETag": etag_for(outcome.order.version),
            "Location": _location().replace(_ANY, str(outcome.order.id)),
        },
    )


def _many_placed(call: ApiCall, outcomes: Sequence[Outcome]) -> ApiAnswer:
    results = [_result(call, number, outcome) for number, outcome in enumerate(outcomes)]
    return ApiAnswer(status=207, body=encode({"results": results}), headers={"Content-Type": _JSON})


def _result(call: ApiCall, number: int, outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Placed):
        return {"status": 201, "order": _document(outcome, actor=call.actor)}
    problem = problem_document(
        error=outcome,
        instance=call.path,
        request_id=call.request_id,
        pointer_prefix=f"/orders/{number}",
    )
    return {"status": problem["status"], "problem": problem}


def _document(placed: Placed, *, actor: Actor) -> dict[str, Any]:
    return order_document(placed.order, placed.items, actor=actor)


_ANY = "00000000-0000-0000-0000-000000000000"


@cache
def _location() -> str:
    return reverse("order", kwargs={"id": _ANY})
