"""The API of returns, for customers and staff."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from oms.api.documentation import documented
from oms.api.permissions import IsCustomer, IsStaff
from oms.api.views import ApiViewSet
from oms.core.errors import PermissionDenied, StaleVersion
from orders.api import return_examples as examples
from orders.api.filters import ReturnFilters
from orders.api.inputs import CancelInput
from orders.api.return_inputs import (
    ReceivedReturnInput,
    ReturnInput,
    ReturnReasonInput,
    ReturnReceiptInput,
)
from orders.api.return_outputs import ReturnOutput
from orders.errors import InvalidTransition, NothingToRefund, NothingToReturn
from orders.models import OrderReturn
from orders.operations.receiving import ReceivedItem, receive_return, record_return
from orders.operations.returns import (
    ReturnedItem,
    approve_return,
    cancel_return,
    reject_return,
    request_return,
)
from orders.queries import all_returns, find_return, find_returns
from payments.errors import RefundExceedsCaptured

_RECEIPT_ERRORS = [NothingToReturn, NothingToRefund, RefundExceedsCaptured, StaleVersion]
_EXAMPLES = {
    "nothing_to_return": examples.TOO_MANY,
    "nothing_to_refund": examples.TOO_MANY,
    "refund_exceeds_captured": {"requested": "39.80", "refundable": "19.90"},
    **examples.ENDED_RETURN,
}


class Returns(ApiViewSet):
    """Returns: customers request and see those of their own orders, staff handle all."""

    permission_classes = [IsCustomer]

    def _response(self, order_return: OrderReturn, *, status: int = 200) -> Response:
        # Read again: the receipts have changed.
        shown = find_return(order_return.id, actor=self.actor)
        return Response(ReturnOutput(shown).data, status=status)

    @documented(
        summary="List an order's returns",
        description="All returns of the order with what arrived of them, newest first.",
        response=ReturnOutput,
        response_example=examples.RECEIVED_RETURN,
        errors=[PermissionDenied],
    )
    def list(self, request: Request, id: Any) -> Response:
        return self.page(find_returns(self.path_id(), actor=self.actor), ReturnOutput)

    @documented(
        summary="Request a return",
        description=(
            "Any line of which something was shipped can be returned. Open returns together expect"
            " at most what was shipped and has not come back."
        ),
        request=ReturnInput,
        response=ReturnOutput,
        status=201,
        request_example={
            "items": [
                {
                    "order_item_id": examples.RETURN["items"][0]["order_item_id"],
                    "quantity": 2,
                    "reason": "The handle is cracked.",
                }
            ]
        },
        response_example=examples.RETURN,
        errors=[NothingToReturn, PermissionDenied, StaleVersion],
        error_examples=_EXAMPLES,
        dry_run=True,
    )
    def create(self, request: Request, id: Any) -> Response:
        items = [ReturnedItem(**item) for item in self.parse(ReturnInput)["items"]]
        order_return = request_return(
            actor=self.actor,
            order_id=self.path_id(),
            items=items,
            expected_version=self.expected_version(),
        )
        return self._response(order_return, status=201)

    @documented(
        summary="Show a return",
        description="One return with what arrived of it.",
        response=ReturnOutput,
        response_example=examples.RECEIVED_RETURN,
        errors=[PermissionDenied],
    )
    def retrieve(self, request: Request, id: Any) -> Response:
        return Response(ReturnOutput(find_return(self.path_id(), actor=self.actor)).data)

    @documented(
        summary="Cancel a return",
        description="While nothing of it has arrived.",
        request=CancelInput,
        response=ReturnOutput,
        request_example={"reason": "I keep them."},
        response_example={**examples.RETURN, "status": "cancelled", "reason": "I keep them."},
        errors=[InvalidTransition, PermissionDenied, StaleVersion],
        error_examples=_EXAMPLES,
    )
    def cancel(self, request: Request, id: Any) -> Response:
        order_return = cancel_return(
            actor=self.actor,
            return_id=self.path_id(),
            expected_version=self.expected_version(),
            **self.parse(CancelInput),
        )
        return self._response(order_return)


class AdminReturns(Returns):
    """The returns of all orders, which staff approve, reject and receive."""

    permission_classes = [IsStaff]
    filterset_class = ReturnFilters
    # Ids are UUIDv7, so their order is that of creation.
    orderings = {"created_at": "id", "updated_at": "updated_at"}
    paged_actions = ("list_all",)

    @documented(
        summary="List returns",
        description="The returns of all orders, newest first.",
        response=ReturnOutput,
        response_example=examples.RECEIVED_RETURN,
    )
    def list_all(self, request: Request) -> Response:
        return self.page(all_returns(actor=self.actor), ReturnOutput)

    @documented(
        summary="Record a return that arrived",
        description=(
            "Creates a return and receives all of it at once, without a request or an approval."
            " With `refund` the price of the units is refunded, which needs `payments.refund`."
        ),
        request=ReceivedReturnInput,
        response=ReturnOutput,
        status=201,
        request_example={"items": examples.RECEIVED, "refund": True},
        response_example=examples.RECEIVED_RETURN,
        errors=_RECEIPT_ERRORS,
        error_examples=_EXAMPLES,
        dry_run=True,
    )
    def record(self, request: Request, id: Any) -> Response:
        data = dict(self.parse(ReceivedReturnInput))
        order_return = record_return(
            actor=self.actor,
            order_id=self.path_id(),
            items=[ReceivedItem(**item) for item in data.pop("items")],
            expected_version=self.expected_version(),
            **data,
        )
        return self._response(order_return, status=201)

    @documented(
        summary="Approve a return",
        description="The customer is notified to send the items.",
        response=ReturnOutput,
        response_example={**examples.RETURN, "status": "approved"},
        errors=[InvalidTransition, StaleVersion],
        error_examples=_EXAMPLES,
    )
    def approve(self, request: Request, id: Any) -> Response:
        order_return = approve_return(
            actor=self.actor,
            return_id=self.path_id(),
            expected_version=self.expected_version(),
        )
        return self._response(order_return)

    @documented(
        summary="Reject a return",
        description="While nothing of it has arrived. The customer is sent the reason.",
        request=ReturnReasonInput,
        response=ReturnOutput,
        request_example={"reason": "The return period has ended."},
        response_example={
            **examples.RETURN,
            "status": "rejected",
            "reason": "The return period has ended.",
        },
        errors=[InvalidTransition, StaleVersion],
        error_examples=_EXAMPLES,
    )
    def reject(self, request: Request, id: Any) -> Response:
        order_return = reject_return(
            actor=self.actor,
            return_id=self.path_id(),
            expected_version=self.expected_version(),
            **self.parse(ReturnReasonInput),
        )
        return self._response(order_return)

    @documented(
        summary="Receive a return",
        description=(
            "Records what arrived, in several receipts if need be, approved or not. Restocked units"
            " are on hand again. The return is received once all has arrived, or with `is_last`."
            " With `refund` the price of the units is refunded, which needs `payments.refund`."
        ),
        request=ReturnReceiptInput,
        response=ReturnOutput,
        request_example={"items": examples.RECEIVED, "refund": True},
        response_example=examples.RECEIVED_RETURN,
        errors=[InvalidTransition, *_RECEIPT_ERRORS],
        error_examples=_EXAMPLES,
        dry_run=True,
    )
    def receive(self, request: Request, id: Any) -> Response:
        data = dict(self.parse(ReturnReceiptInput))
        order_return = receive_return(
            actor=self.actor,
            return_id=self.path_id(),
            items=[ReceivedItem(**item) for item in data.pop("items", ())],
            expected_version=self.expected_version(),
            **data,
        )
        return self._response(order_return)
