"""The REST calls about orders that are staff's alone."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from oms.core.errors import NotFound
from oms.http.documentation import documented
from oms.http.permissions import IsStaff
from oms.http.views import ApiViewSet
from orders.api import examples
from orders.api.filters import AdminOrderFilters
from orders.api.inputs import RefundInput, ShipmentInput
from orders.api.outputs import OrderOutput, ShipmentOutput
from orders.errors import NothingToShip, OrderNotShippable
from orders.operations.fulfilling import ShippedItem, ship_items
from orders.operations.refunding import refund_payment
from orders.queries import all_orders
from payments.api.examples import REFUND
from payments.api.serializers import RefundOutput
from payments.errors import RefundExceedsCaptured
from payments.queries import order_of_payment, refunds_of


class AdminOrders(ApiViewSet):
    """All orders."""

    permission_classes = [IsStaff]
    filterset_class = AdminOrderFilters
    orderings = {"placed_at": "placed_at", "updated_at": "updated_at"}

    @documented(
        summary="List all orders",
        description="Every customer's orders, newest first; deleted ones are not in it.",
        response=OrderOutput,
        response_example=examples.PROCESSING_ORDER,
    )
    def list(self, request: Request) -> Response:
        return self.page(all_orders(), OrderOutput, actor=self.actor)

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
        errors=[OrderNotShippable, NothingToShip],
        headers={"If-Match": "Refuses the call with 412 if the order has changed."},
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


class PaymentRefunds(ApiViewSet):
    """Refunds of a payment; they are the orders' matter, for goods may come back with them."""

    permission_classes = [IsStaff]

    @documented(
        summary="List a payment's refunds",
        description="Every refund of the payment, newest first.",
        response=RefundOutput,
        response_example=REFUND,
    )
    def list(self, request: Request, id: Any) -> Response:
        payment_id = self.path_id()
        if order_of_payment(payment_id) is None:
            raise NotFound
        return self.page(refunds_of(payment_id), RefundOutput)

    @documented(
        summary="Refund a payment",
        description=(
            "Gives back `amount`, by default all that is left; it is sent in the background. With"
            " `restock` all that was shipped of the order goes back on the shelf."
        ),
        request=RefundInput,
        response=RefundOutput,
        status=202,
        request_example={"amount": "19.90", "reason": "One piece arrived damaged."},
        response_example=REFUND,
        errors=[RefundExceedsCaptured],
        error_examples={
            "refund_exceeds_captured": {"captured": "59.70", "refundable": "10.00"},
        },
    )
    def create(self, request: Request, id: Any) -> Response:
        refund = refund_payment(
            actor=self.actor, payment_id=self.path_id(), **self.parse(RefundInput)
        )
        return Response(RefundOutput(refund).data, status=202)
