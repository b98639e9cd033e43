"""The API of orders for staff."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from oms.api.documentation import documented
from oms.api.handlers import fast_path
from oms.api.permissions import IsStaff
from oms.api.views import ApiViewSet
from oms.core.errors import StaleVersion
from orders.api import examples
from orders.api.filters import AdminOrderFilters
from orders.api.inputs import ShipmentInput
from orders.api.outputs import OrderOutput, ShipmentOutput
from orders.api.reading import ReadOrders, is_fast_list
from orders.errors import NothingToShip, OrderNotShippable
from orders.operations.fulfilling import ship_items
from orders.operations.quantities import ItemQuantity


class AdminOrders(ApiViewSet):
    """All orders."""

    permission_classes = [IsStaff]
    filterset_class = AdminOrderFilters
    # Ids are UUIDv7 of the moment of placing, and every index of a list ends with them.
    orderings = {"placed_at": "id", "updated_at": "updated_at"}

    @documented(
        summary="List all orders",
        description="The orders of all customers, newest first, without deleted ones.",
        response=OrderOutput,
        response_example=examples.PROCESSING_ORDER,
        versioned=True,
    )
    @fast_path(
        ReadOrders,
        "all_orders",
        slow_filters={"search", "status__in", "reference"},
        is_fast=is_fast_list,
    )
    def list(self, request: Request) -> HttpResponse:
        return self.handle()

    @documented(
        summary="Ship an order",
        description=(
            "Creates a shipment of those items, by default of all remaining ones, and removes"
            " them from stock. A confirmed order changes to processing; an order with nothing left"
            " to ship changes to shipped."
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
            items = [ItemQuantity(**item) for item in data["items"]]
        shipment = ship_items(
            actor=self.actor,
            order_id=self.path_id(),
            items=items,
            carrier=data["carrier"],
            tracking_number=data["tracking_number"],
            expected_version=self.expected_version(),
        )
        return Response(ShipmentOutput(shipment).data, status=201)
