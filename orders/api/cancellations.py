"""The API of cancelled quantities, for staff."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from oms.api.documentation import documented
from oms.api.permissions import IsStaff
from oms.core.errors import StaleVersion
from orders.api import return_examples as examples
from orders.api.inputs import CancellationInput
from orders.api.outputs import CancellationOutput, NewCancellationOutput, order_document
from orders.api.statuses import ChangingViewSet
from orders.errors import NothingToCancel
from orders.operations.cancellations import cancel_items
from orders.operations.quantities import ItemQuantity
from orders.queries import find_cancellations, items_of


class OrderCancellations(ChangingViewSet):
    """The cancelled quantities of one order."""

    permission_classes = [IsStaff]

    @documented(
        summary="List an order's cancelled items",
        description="Each cancellation of quantities, newest first.",
        response=CancellationOutput,
        response_example=examples.CANCELLATION,
    )
    def list(self, request: Request, id: Any) -> Response:
        return self.page(find_cancellations(self.path_id(), actor=self.actor), CancellationOutput)

    @documented(
        summary="Cancel items",
        description=(
            "Quantities that will not be shipped: their stock is released, their price leaves the"
            " order's total, and what was paid of it is refunded, which needs `payments.refund`."
            " With nothing left to ship the order is cancelled, or shipped or delivered if"
            " something was shipped."
        ),
        request=CancellationInput,
        response=NewCancellationOutput,
        status=201,
        request_example={
            "items": examples.CANCELLED_ITEMS,
            "reason": examples.CANCELLATION["reason"],
        },
        response_example=examples.NEW_CANCELLATION,
        errors=[NothingToCancel, StaleVersion],
        error_examples={"nothing_to_cancel": examples.TOO_MANY},
        versioned=True,
        dry_run=True,
    )
    def create(self, request: Request, id: Any) -> Response:
        data = self.parse(CancellationInput)
        cancellation, order = cancel_items(
            actor=self.actor,
            order_id=self.path_id(),
            items=[ItemQuantity(**item) for item in data["items"]],
            reason=data["reason"],
            expected_version=self.expected_version(),
        )
        document = order_document(order, items_of([order.id])[order.id], actor=self.actor)
        answer = {**CancellationOutput(cancellation).data, "order": document}
        return self.versioned(order.version, answer, status=201)
