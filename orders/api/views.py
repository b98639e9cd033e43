"""The REST calls about orders that customers and staff share."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from inventory.errors import OutOfStock
from oms.api.documentation import documented
from oms.api.permissions import IsCustomer
from oms.http.payloads import encode
from oms.http.queries import InvalidQuery, query_error
from orders.api import examples
from orders.api.filters import OrderFilters
from orders.api.inputs import (
    BulkOrderInput,
    CancelInput,
    OrderEditInput,
    OrderInput,
)
from orders.api.lists import OrderListViewSet
from orders.api.outputs import (
    BulkOutput,
    ExpandedOrderOutput,
    HistoryEntryOutput,
    OrderOutput,
    ShipmentOutput,
    order_document,
)
from orders.api.placing import (
    location_of,
    ordered_items,
    placed_document,
    placement_of,
    results_document,
)
from orders.api.statuses import ChangingViewSet
from orders.errors import (
    InvalidTransition,
    OrderNotDeletable,
    OrderNotEditable,
)
from orders.operations.cancelling import cancel_order, delete_order
from orders.operations.editing import OrderEdit, edit_order
from orders.operations.placing import place_order, place_orders
from orders.queries import find_order, history_of, orders_of, shipments_of
from payments.api.serializers import PaymentOutput
from payments.queries import payments_of

EXPANSIONS = ("payments", "shipments", "history")
_EXPAND = {
    "expand": {
        "schema": {
            "type": "array",
            "items": {"type": "string", "enum": list(EXPANSIONS)},
            "minItems": 1,
        },
        "description": f"What to answer besides, with commas between: {', '.join(EXPANSIONS)}.",
    }
}
_SHORT = {"out_of_stock": examples.SHORTAGE}


class Orders(ChangingViewSet, OrderListViewSet):
    """Orders: customers see and change their own, staff all."""

    permission_classes = [IsCustomer]
    queries = {"retrieve": {"expand"}}
    filterset_class = OrderFilters
    # Ids are UUIDv7 of the moment of placing, and every index of a list ends with them.
    orderings = {"placed_at": "id", "updated_at": "updated_at"}

    @property
    def customer_id(self) -> UUID:
        """Who orders: the caller, staff or not."""
        assert self.actor.id is not None, "the permission asked for somebody"
        return self.actor.id

    @documented(
        summary="Place an order",
        description=(
            "Reserves the stock of every line, or nothing. An unpaid order expires and lets go of"
            " its stock; one with a `payment` is paid in the background: watch its status."
        ),
        request=OrderInput,
        response=OrderOutput,
        status=201,
        request_example=examples.NEW_ORDER,
        response_example=examples.ORDER,
        errors=[OutOfStock],
        error_examples=_SHORT,
        versioned=True,
    )
    def create(self, request: Request) -> Response:
        placement = placement_of(self.parse(OrderInput), customer_id=self.customer_id)
        placed = place_order(actor=self.actor, placement=placement)
        response = self.versioned(
            placed.order.version, placed_document(placed, actor=self.actor), status=201
        )
        response["Location"] = location_of(placed.order.id)
        return response

    @documented(
        summary="Place many orders",
        description=(
            "Up to 500 orders, decided in the order given. With `on_error` `continue` those that"
            " can be placed are; with `reject_all` one refusal is enough for none to be placed, and"
            " the others get the problem `rejected_with_others`. A body that is malformed anywhere"
            " is refused as a whole."
        ),
        request=BulkOrderInput,
        response=BulkOutput,
        status=207,
        request_example={"orders": [examples.NEW_ORDER], "on_error": "continue"},
        response_example=examples.BULK_RESULTS,
    )
    def create_many(self, request: Request) -> Response:
        data = self.parse(BulkOrderInput)
        outcomes = place_orders(
            actor=self.actor,
            placements=[
                placement_of(order, customer_id=self.customer_id) for order in data["orders"]
            ],
            all_or_nothing=data["on_error"] == "reject_all",
        )
        document = results_document(
            outcomes,
            actor=self.actor,
            instance=request.path,
            request_id=self.actor.request_id,
        )
        return Response(document, status=207)

    @documented(
        summary="List your orders",
        description="The caller's own orders, newest first. Staff see all at /admin/orders.",
        response=OrderOutput,
        response_example=examples.ORDER,
        versioned=True,
    )
    def list(self, request: Request) -> Response:
        return self.page_of_orders(orders_of(self.customer_id))

    @documented(
        summary="Show an order",
        description="An order with its items, and with what `expand` names.",
        response=ExpandedOrderOutput,
        response_example=examples.ORDER,
        parameters=_EXPAND,
        versioned=True,
    )
    def retrieve(self, request: Request, id: Any) -> Response:
        expansions = _expansions(request)
        order = find_order(self.path_id(), actor=self.actor)
        data = order_document(order, order.items.all(), actor=self.actor)
        if not expansions:
            return self.respond_conditionally(order.version, data)
        if "payments" in expansions:
            data["payments"] = PaymentOutput(payments_of(order.id), many=True).data
        if "shipments" in expansions:
            data["shipments"] = ShipmentOutput(shipments_of(order.id), many=True).data
        if "history" in expansions:
            history = history_of(order.id, actor=self.actor)
            data["history"] = HistoryEntryOutput(history, many=True).data
        # Payments change without the order's version, so the tag goes by the whole answer.
        variant = hashlib.sha256(encode(data)).hexdigest()[:16]
        return self.respond_conditionally(order.version, data, variant=variant)

    @documented(
        summary="Change an order",
        description=(
            "While it is pending and unpaid. New `items` replace all items; stock is reserved or"
            " released by the difference. Products that stay keep their price."
        ),
        request=OrderEditInput,
        response=OrderOutput,
        request_example={
            "items": [{"product_id": examples.PRODUCT_ID, "quantity": 2}],
            "note": "Leave it with the neighbours.",
        },
        response_example=examples.ORDER,
        errors=[OutOfStock, OrderNotEditable],
        error_examples=_SHORT,
        versioned=True,
    )
    def partial_update(self, request: Request, id: Any) -> Response:
        data = self.parse(OrderEditInput)
        edit = OrderEdit(
            items=ordered_items(data["items"]) if "items" in data else None,
            shipping_address=(
                dict(data["shipping_address"]) if "shipping_address" in data else None
            ),
            note=data.get("note"),
        )
        order = edit_order(
            actor=self.actor,
            order_id=self.path_id(),
            edit=edit,
            expected_version=self.expected_version(),
        )
        return self.order_response(order)

    @documented(
        summary="Delete an order",
        description=(
            "One that is cancelled or expired, or pending and unpaid, which is cancelled first."
            " It leaves every list; the ledgers keep it."
        ),
        errors=[OrderNotDeletable],
        versioned=True,
    )
    def destroy(self, request: Request, id: Any) -> Response:
        delete_order(
            actor=self.actor, order_id=self.path_id(), expected_version=self.expected_version()
        )
        return Response(status=204)

    @documented(
        summary="Cancel an order",
        description=("Releases its stock, and voids or refunds its money. Once more does nothing."),
        request=CancelInput,
        response=OrderOutput,
        request_example={"reason": "Ordered by mistake."},
        response_example=examples.CANCELLED_ORDER,
        errors=[InvalidTransition],
        error_examples=examples.ILLEGAL_STEP,
        versioned=True,
    )
    def cancel(self, request: Request, id: Any) -> Response:
        order = cancel_order(
            actor=self.actor,
            order_id=self.path_id(),
            expected_version=self.expected_version(),
            **self.parse(CancelInput),
        )
        return self.order_response(order)


def _expansions(request: Request) -> frozenset[str]:
    """What `expand` names. Raises InvalidQuery for what there is not."""
    text = request.query_params.get("expand")
    if text is None:
        return frozenset()
    names = [name.strip() for name in text.split(",")]
    unknown = [
        query_error(
            "expand",
            code="invalid_choice",
            detail=f"{name!r}: not one of {', '.join(EXPANSIONS)}.",
        )
        for name in names
        if name not in EXPANSIONS
    ]
    if unknown:
        raise InvalidQuery(unknown)
    return frozenset(names)
