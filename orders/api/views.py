"""The REST calls about orders for customers and staff."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from inventory.errors import OutOfStock
from oms.api.documentation import documented
from oms.api.handlers import fast_path
from oms.api.parsers import JSONParser, MergePatchParser
from oms.api.past_times import AT, past_time
from oms.api.permissions import IsCustomer
from oms.core.errors import PermissionDenied
from oms.core.permissions import Permission
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
from orders.api.merge_patches import OrderMergePatch, merged_edit
from orders.api.outputs import (
    BulkOutput,
    HistoryEntryOutput,
    OrderOutput,
    ShipmentOutput,
    order_document,
)
from orders.api.past import NOW_OR_THEN, PastOrderOutput
from orders.api.placing import PlaceOrders, number_of_orders, ordered_items
from orders.api.reading import ReadOrders, is_fast_own_list
from orders.api.statuses import ChangingViewSet
from orders.errors import (
    InvalidTransition,
    OrderNotDeletable,
    OrderNotEditable,
    ReferenceTaken,
)
from orders.operations.cancelling import cancel_order, delete_order
from orders.operations.editing import OrderEdit, edit_order, patch_order
from orders.past import order_at
from orders.queries import find_order, history_of, items_of, shipments_of
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
        "description": f"What to include, separated by commas: {', '.join(EXPANSIONS)}.",
    }
}
_SHORT = {"out_of_stock": examples.SHORTAGE}


class Orders(ChangingViewSet):
    """Orders: customers see and change their own, staff everyone's."""

    permission_classes = [IsCustomer]
    queries = {"retrieve": {"expand", "at"}}
    filterset_class = OrderFilters
    # Ids are UUIDv7 of the moment of placing, and every index of a list ends with them.
    orderings = {"placed_at": "id", "updated_at": "updated_at"}

    def get_parsers(self) -> list[Any]:
        # The action is not known yet, and there is no request while the document is made.
        is_patch = self.request is not None and self.request.method == "PATCH"
        return [*super().get_parsers(), *([MergePatchParser()] if is_patch else [])]

    @documented(
        summary="Place an order",
        description=(
            "Reserves the stock of every line, or of none. An unpaid order expires, which releases"
            " its stock; one with a `payment` is paid in the background: watch its status. Staff"
            " with `orders.place_for_customer` name the customer by `customer_id`."
        ),
        request=OrderInput,
        response=OrderOutput,
        status=201,
        request_example=examples.NEW_ORDER,
        response_example=examples.ORDER,
        errors=[OutOfStock, ReferenceTaken, PermissionDenied],
        error_examples=_SHORT,
        versioned=True,
        dry_run=True,
    )
    @fast_path(PlaceOrders, "one", body=OrderInput)
    def create(self, request: Request) -> HttpResponse:
        return self.handle()

    @documented(
        summary="Place many orders",
        description=(
            "Up to 500 orders, decided in the order given. With `on_error` `continue` those that"
            " can be placed are; with `reject_all` one rejection rejects all, and the others get"
            " the problem `rejected_with_others`. An order that is invalid is rejected by itself;"
            " pointers begin at the order. Each order counts as one request against the limit; if"
            " that allows fewer, nothing is placed."
        ),
        request=BulkOrderInput,
        response=BulkOutput,
        status=207,
        request_example={"orders": [examples.NEW_ORDER], "on_error": "continue"},
        response_example=examples.BULK_RESULTS,
        dry_run=True,
    )
    @fast_path(PlaceOrders, "many", body=BulkOrderInput, cost=number_of_orders)
    def create_many(self, request: Request) -> HttpResponse:
        return self.handle()

    @documented(
        summary="List your orders",
        description="The caller's own orders, newest first. Staff see all at /admin/orders.",
        response=OrderOutput,
        response_example=examples.ORDER,
        versioned=True,
    )
    @fast_path(
        ReadOrders,
        "own_orders",
        slow_filters=OrderFilters.base_filters.keys(),
        is_fast=is_fast_own_list,
    )
    def list(self, request: Request) -> HttpResponse:
        return self.handle()

    @documented(
        summary="Show an order",
        description=(
            "An order with its items, and what `expand` adds. With `at` it is shown as of a past"
            " time: its statuses with the history until then, its total, its items, and what was"
            " reserved, waiting, shipped and cancelled of them."
        ),
        response=NOW_OR_THEN,
        response_example=examples.ORDER,
        errors=[PermissionDenied],
        parameters={**_EXPAND, "at": AT},
        versioned=True,
    )
    @fast_path(ReadOrders, "order")
    def retrieve(self, request: Request, id: Any) -> HttpResponse:
        at = past_time(request.query_params)
        if at is not None:
            order = order_at(actor=self.actor, order_id=self.path_id(), at=at)
            return Response(PastOrderOutput(order).data)
        expansions = _expansions(request)
        return self._expanded(expansions) if expansions else self.handle()

    def _expanded(self, expansions: frozenset[str]) -> Response:
        needed = [Permission.PAYMENTS_VIEW] if "payments" in expansions else []
        order = find_order(self.path_id(), actor=self.actor, permissions=needed)
        data = order_document(order, items_of([order.id])[order.id], actor=self.actor)
        if "payments" in expansions:
            data["payments"] = PaymentOutput(payments_of(order.id), many=True).data
        if "shipments" in expansions:
            data["shipments"] = ShipmentOutput(shipments_of(order.id), many=True).data
        if "history" in expansions:
            history = history_of(order.id, actor=self.actor)
            data["history"] = HistoryEntryOutput(history, many=True).data
        # Payments change without the order's version, so the ETag depends on the whole response.
        variant = hashlib.sha256(encode(data)).hexdigest()[:16]
        return self.respond_conditionally(order.version, data, variant=variant)

    @documented(
        summary="Change an order",
        description=(
            "While it is pending and unpaid. New `items` replace all items; stock is reserved or"
            " released by the difference. A line whose quantity grows is sold like a new one, at"
            " the current price; other lines keep their prices. Staff may also correct the"
            " addresses until all is shipped, and `internal_note`, `reference`, `metadata` and"
            " `language` at any time. A merge patch (RFC 7396) adds to addresses and metadata;"
            " null resets what is optional."
        ),
        request={
            JSONParser.media_type: OrderEditInput,
            MergePatchParser.media_type: OrderMergePatch,
        },
        response=OrderOutput,
        request_example={
            "items": [{"product_id": examples.PRODUCT_ID, "quantity": 2}],
            "note": "Leave it with the neighbours.",
        },
        response_example=examples.ORDER,
        errors=[OutOfStock, OrderNotEditable, ReferenceTaken, PermissionDenied],
        error_examples=_SHORT,
        versioned=True,
        dry_run=True,
    )
    def partial_update(self, request: Request, id: Any) -> Response:
        if MergePatchParser.is_of(request):
            return self._merge()
        values = dict(self.parse(OrderEditInput))
        if "items" in values:
            values["items"] = ordered_items(values["items"])
        for name in ("shipping_address", "billing_address"):
            if name in values:
                values[name] = dict(values[name])
        edit = OrderEdit(**values)
        order = edit_order(
            actor=self.actor,
            order_id=self.path_id(),
            edit=edit,
            expected_version=self.expected_version(),
        )
        return self.order_response(order)

    def _merge(self) -> Response:
        patch = dict(self.parse(OrderMergePatch))
        if "items" in patch:
            patch["items"] = ordered_items(patch["items"])
        order = patch_order(
            actor=self.actor,
            order_id=self.path_id(),
            edit_of=partial(merged_edit, patch),
            expected_version=self.expected_version(),
        )
        return self.order_response(order)

    @documented(
        summary="Delete an order",
        description=(
            "An order that is cancelled or expired, or pending and unpaid, which is cancelled"
            " first. It disappears from every list; the ledgers keep it."
        ),
        errors=[OrderNotDeletable, PermissionDenied],
        versioned=True,
    )
    def destroy(self, request: Request, id: Any) -> Response:
        delete_order(
            actor=self.actor, order_id=self.path_id(), expected_version=self.expected_version()
        )
        return Response(status=204)

    @documented(
        summary="Cancel an order",
        description=(
            "Releases the stock, and voids or refunds the payment. Cancelling again does nothing."
        ),
        request=CancelInput,
        response=OrderOutput,
        request_example={"reason": "Ordered by mistake."},
        response_example=examples.CANCELLED_ORDER,
        errors=[InvalidTransition, PermissionDenied],
        error_examples=examples.ILLEGAL_STEP,
        versioned=True,
        dry_run=True,
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
    """The expansions that `expand` names. Raises InvalidQuery."""
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
