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
from oms.core.errors import InputError, Invalid, OperationError
from oms.core.permissions import Permission
from oms.db.pipeline import Pipeline
from oms.http.etags import etag_for
from oms.http.payloads import encode
from oms.http.problems import problem_document
from oms.users.queries import query_customers
from orders.api.outputs import order_document
from orders.locks import lock_references
from orders.operations.placing import place_together
from orders.placements import (
    OrderedItem,
    Outcome,
    PaymentChoice,
    Placed,
    Placement,
    PlacingCall,
    Reference,
)

_JSON = "application/json"
_NO_CUSTOMER = InputError(
    pointer="/customer_id", code="not_found", detail="There is no such customer."
)


class PlaceOrders(Handler):
    """Places the orders of many calls, "one" order or "many" each, in one transaction."""

    is_write = True

    def __init__(
        self, calls: Sequence[ApiCall], *, pipeline: Pipeline, cache_version: str | None = None
    ) -> None:
        super().__init__(calls, pipeline=pipeline, cache_version=cache_version)
        orders = [
            (call, data)
            for call in calls
            for data in _orders(call)
            if not isinstance(data, Invalid)
        ]
        # Nothing is read for orders without a reference, or of the caller's own.
        self._customers = query_customers(
            {data["customer_id"] for _, data in orders if "customer_id" in data}, pipeline=pipeline
        )
        self._taken = lock_references(
            {
                Reference(customer_id, data["reference"])
                for call, data in orders
                if "reference" in data and (customer_id := _customer_id(call, data)) is not None
            },
            pipeline=pipeline,
        )
        self._levels = lock_stock_levels(
            (line["product_id"] for _, data in orders for line in data["items"]), pipeline=pipeline
        )

    def answers(self, calls: Sequence[ApiCall]) -> list[ApiAnswer]:
        languages = dict(self._customers.rows()) if self._customers else {}
        outcomes = place_together(
            calls=[_placing_call(call, languages) for call in calls],
            stock=StockAllocator(self._levels.rows()),
            taken=self._taken.rows() if self._taken else (),
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


def _orders(call: ApiCall) -> Sequence[Mapping[str, Any] | Invalid]:
    """The validated data of each order; the error in the place of one that is invalid."""
    orders: Sequence[Mapping[str, Any] | Invalid] = (
        call.data["orders"] if call.name == "many" else [call.data]
    )
    return orders


def _customer_id(call: ApiCall, data: Mapping[str, Any]) -> UUID | None:
    """Whose order it is to be."""
    customer_id: UUID | None = data.get("customer_id", call.caller_id)
    return customer_id


def _placing_call(call: ApiCall, languages: Mapping[UUID, str]) -> PlacingCall:
    return PlacingCall(
        actor=call.actor,
        placements=[
            data if isinstance(data, Invalid) else _placement(call, data, languages)
            for data in _orders(call)
        ],
        all_or_nothing=call.name == "many" and call.data["on_error"] == "reject_all",
    )


def _placement(
    call: ApiCall, data: Mapping[str, Any], languages: Mapping[UUID, str]
) -> Placement | Invalid:
    """`languages` are those of the customers for whom staff place orders."""
    customer_id = _customer_id(call, data)
    assert customer_id is not None, "only signed-in callers may place orders"
    language = call.actor.language
    if not call.actor.owns(customer_id):
        # Who may not place orders for customers does not learn who is one either.
        may_know = call.actor.may(Permission.ORDERS_PLACE_FOR_CUSTOMER)
        if may_know and customer_id not in languages:
            return Invalid([_NO_CUSTOMER])
        language = languages.get(customer_id, "")
    payment, billing_address = data.get("payment"), data.get("billing_address")
    return Placement(
        customer_id=customer_id,
        items=ordered_items(data["items"]),
        shipping_address=dict(data["shipping_address"]),
        payment=None
        if payment is None
        else PaymentChoice(provider=payment["provider"], token=payment["token"]),
        note=data["note"],
        billing_address=None if billing_address is None else dict(billing_address),
        internal_note=data.get("internal_note", ""),
        reference=data.get("reference"),
        metadata=data.get("metadata", {}),
        language=data.get("language", language),
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
    results = [_result(call, outcome) for outcome in outcomes]
    return ApiAnswer(status=207, body=encode({"results": results}), headers={"Content-Type": _JSON})


def _result(call: ApiCall, outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Placed):
        return {"status": 201, "order": _document(outcome, actor=call.actor)}
    problem = problem_document(error=outcome, instance=call.path, request_id=call.request_id)
    return {"status": problem["status"], "problem": problem}


def _document(placed: Placed, *, actor: Actor) -> dict[str, Any]:
    return order_document(placed.order, placed.items, actor=actor)


_ANY = "00000000-0000-0000-0000-000000000000"


@cache
def _location() -> str:
    return reverse("order", kwargs={"id": _ANY})
