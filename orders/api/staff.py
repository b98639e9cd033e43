"""The REST calls about orders that are staff's alone."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from oms.api.documentation import documented
from oms.api.permissions import IsStaff
from oms.core.errors import StaleVersion
from orders.api import examples
from orders.api.filters import AdminOrderFilters
from orders.api.inputs import ShipmentInput
from orders.api.lists import OrderListViewSet
from orders.api.outputs import OrderOutput, ShipmentOutput
from orders.errors import NothingToShip, OrderNotShippable
from orders.operations.fulfilling import ShippedItem, ship_items
from orders.queries import all_orders


class AdminOrders(OrderListViewSet):
    """All orders."""

    permission_classes = [IsStaff]
    filterset_class = AdminOrderFilters
    # Ids are UUIDv7 of the moment of placing, and every index of a list ends with them.
    orderings = {"placed_at": "id", "updated_at": "updated_at"}

    @documented(
        summary="List all orders",
        description="Every customer's orders, newest first; deleted ones are not in it.",
        response=OrderOutput,
        response_example=examples.PROCESSING_ORDER,
        versioned=True,
    )
    def list(self, request: Request) -> Response:
        filters = AdminOrderFilters.cleaned(request.query_params.dict())
        return self.page_of_orders(all_orders(), changed_since=filters.get("updated_since"))

    @documented(
        summary="Ship an order",
        description=(
            "Sends a parcel with those items, by default with all that is left; their stock leaves"
            " the house. A confirmed order goes into processing; one of which nothing is left"
            " becomes shipped."
        ),
        request=ShipmentInput,
        response=ShipmentOutput,
        status=201,
        request_example={
            "items": [{"order_item_id": examples.ITEM_ID, "quantity": 2}],
            "carrier": "DHL",
            "tracking_number": "JD014600003828392837",
        },
        response_example=examples.SHIPMENT,
        errors=[OrderNotShippable, NothingToShip, StaleVersion],
    )
    def ship(self, request: Request, id: Any) -> Response:
        data = self.parse(ShipmentInput)
        items = None
        if "items" in data:
            items = [ShippedItem(**item) for item in data["items"]]
        shipment = ship_items(
            actor=self.actor,
            order_id=self.path_id(),
            items=items,
            carrier=data["carrier"],
            tracking_number=data["tracking_number"],
            expected_version=self.expected_version(),
        )
        return Response(ShipmentOutput(shipment).data, status=201)
