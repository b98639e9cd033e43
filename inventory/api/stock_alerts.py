"""The API of stock alerts."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from inventory.api.examples import PRODUCT
from inventory.errors import InStock
from inventory.operations.stock_alerts import add_stock_alert, remove_stock_alert
from oms.api.documentation import documented
from oms.api.permissions import IsCustomer
from oms.api.serializers import InputSerializer, OutputSerializer
from oms.api.views import ApiView


class StockAlertOutput(OutputSerializer):
    product_id = serializers.UUIDField()
    created_at = serializers.DateTimeField()


class StockAlertView(ApiView):
    """The caller's request for a message when a product is back in stock."""

    permission_classes = [IsCustomer]

    @documented(
        summary="Ask for a message when a product is back",
        description=(
            "One e-mail and one in-app notification when the product is available again; asking"
            " twice changes nothing. 409 if it is available now."
        ),
        response=StockAlertOutput,
        status=201,
        response_example={"product_id": PRODUCT["id"], "created_at": "2026-11-21T09:31:00.654321Z"},
        errors=[InStock],
    )
    def post(self, request: Request, id: Any) -> Response:
        self.parse(InputSerializer)  # no members
        alert = add_stock_alert(actor=self.actor, product_id=self.path_id())
        return Response(StockAlertOutput(alert).data, status=201)

    @documented(
        summary="Withdraw the request for a message when a product is back",
        description="Also if there is none.",
    )
    def delete(self, request: Request, id: Any) -> Response:
        remove_stock_alert(actor=self.actor, product_id=self.path_id())
        return Response(status=204)
