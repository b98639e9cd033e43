"""The API of an order's status, and the response of calls that change an order."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from oms.api.documentation import documented
from oms.api.handlers import fast_path
from oms.api.permissions import IsCustomer, IsStaff
from oms.api.views import ApiViewSet
from oms.core.errors import PermissionDenied
from orders.api import examples
from orders.api.inputs import StatusInput
from orders.api.outputs import OrderOutput, OrderStatusOutput, order_document
from orders.api.reading import ReadOrders
from orders.errors import InvalidTransition, NothingToShip
from orders.models import Order
from orders.operations.status_changes import set_order_status
from orders.queries import items_of
from orders.states import OrderStatus


class ChangingViewSet(ApiViewSet):
    """A view whose calls change an order and answer it."""

    def order_response(self, order: Order, *, status: int = 200) -> Response:
        """The changed order, with its ETag."""
        data = order_document(order, items_of([order.id])[order.id], actor=self.actor)
        return self.versioned(order.version, data, status=status)


class OrderStatuses(ChangingViewSet):
    """The status of one order: its customer watches it, staff set it."""

    permission_classes = [IsCustomer]
    permissions = {"set_status": [IsStaff]}

    @documented(
        summary="Watch an order's status",
        description="The order's three statuses and its status history.",
        response=OrderStatusOutput,
        response_example=examples.ORDER_STATUS,
        errors=[PermissionDenied],
        versioned=True,
    )
    @fast_path(ReadOrders, "status")
    def retrieve(self, request: Request, id: Any) -> HttpResponse:
        return self.handle()

    @documented(
        summary="Set an order's status",
        description=(
            "Setting the same status again does nothing. `shipped` ships everything that is left;"
            " `cancelled` releases the stock and refunds the payment."
        ),
        request=StatusInput,
        response=OrderOutput,
        request_example={
            "status": "shipped",
            "carrier": "DHL",
            "tracking_number": "JD014600003828392837",
        },
        response_example=examples.PROCESSING_ORDER,
        errors=[InvalidTransition, NothingToShip],
        error_examples=examples.ILLEGAL_STEP,
        versioned=True,
    )
    def set_status(self, request: Request, id: Any) -> Response:
        data = dict(self.parse(StatusInput))
        order = set_order_status(
            actor=self.actor,
            order_id=self.path_id(),
            status=OrderStatus(data.pop("status")),
            expected_version=self.expected_version(),
            **data,
        )
        return self.order_response(order)
