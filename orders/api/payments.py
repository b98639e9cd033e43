"""Payments of orders, and refunds, in the REST API."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from oms.api.documentation import documented
from oms.api.permissions import IsCustomer, IsStaff
from oms.api.views import ApiViewSet
from oms.core.errors import PermissionDenied, StaleVersion
from oms.core.permissions import Permission
from oms.http.headers import PreconditionUnsupported
from orders.api.examples import ITEM_ID
from orders.api.inputs import NewPaymentInput, RefundInput
from orders.api.return_examples import TOO_MANY
from orders.errors import (
    NothingToRefund,
    NothingToReturn,
    OrderNotPayable,
    RestockAmbiguous,
    TotalChanged,
)
from orders.operations.refunding import RefundedItem, refund_payment
from orders.operations.requesting_payments import pay_order
from orders.placements import PaymentChoice
from orders.queries import find_order
from payments.api.examples import NEW_PAYMENT, PAYMENT, REFUND
from payments.api.serializers import PaymentOutput, RefundOutput
from payments.errors import PaymentInProgress, RefundExceedsCaptured
from payments.queries import find_refunds, payments_of


class OrderPayments(ApiViewSet):
    """The payments of one order."""

    permission_classes = [IsCustomer]

    @documented(
        summary="List an order's payments",
        description="All payments of the order, newest first.",
        response=PaymentOutput,
        response_example=PAYMENT,
        errors=[PermissionDenied],
    )
    def list(self, request: Request, id: Any) -> Response:
        order = find_order(self.path_id(), actor=self.actor, permissions=[Permission.PAYMENTS_VIEW])
        return self.page(payments_of(order.id), PaymentOutput)

    @documented(
        summary="Pay an order",
        description=(
            "Creates a payment of what is still owed, unless one is in progress; also for an order"
            " on hold, shipped or delivered. It is processed in the background. With"
            " `expected_total` an order whose total is another one by now is not paid."
        ),
        request=NewPaymentInput,
        response=PaymentOutput,
        status=202,
        request_example={
            "provider": "sandbox",
            "token": "tok_success",
            "expected_total": "59.70",
        },
        response_example=NEW_PAYMENT,
        errors=[PaymentInProgress, OrderNotPayable, TotalChanged, PermissionDenied, StaleVersion],
        error_examples={"total_changed": {"expected": "49.75", "total": "59.70"}},
    )
    def create(self, request: Request, id: Any) -> Response:
        data = self.parse(NewPaymentInput)
        payment = pay_order(
            actor=self.actor,
            order_id=self.path_id(),
            choice=PaymentChoice(provider=data["provider"], token=data["token"]),
            expected_total=data.get("expected_total"),
            expected_version=self.expected_version(),
        )
        return Response(PaymentOutput(payment).data, status=202)


class PaymentRefunds(ApiViewSet):
    """Refunds of a payment; part of orders, since a refund may restock items."""

    permission_classes = [IsStaff]

    @documented(
        summary="List a payment's refunds",
        description="Every refund of the payment, newest first.",
        response=RefundOutput,
        response_example=REFUND,
    )
    def list(self, request: Request, id: Any) -> Response:
        return self.page(find_refunds(self.path_id(), actor=self.actor), RefundOutput)

    @documented(
        summary="Refund a payment",
        description=(
            "Refunds `items` at their price, or `amount`, by default all that is left, in the"
            " background. Of items, units that were not shipped come first, and are cancelled;"
            " `restock` returns shipped ones to `location` or to where they came from, and with a"
            " `location` all are shipped ones. Once everything is refunded of an order that was"
            " paid, what was not shipped is cancelled. `restock` beside an amount restocks all"
            " items, of an order of which everything was shipped, when all that is left is"
            " refunded. If-Match has the order's version; money of no order has none."
        ),
        request=RefundInput,
        response=RefundOutput,
        status=202,
        request_example={
            "items": [{"order_item_id": ITEM_ID, "quantity": 1, "restock": True}],
            "reason": "One item arrived damaged.",
        },
        response_example=REFUND,
        errors=[
            RefundExceedsCaptured,
            RestockAmbiguous,
            NothingToRefund,
            NothingToReturn,
            PreconditionUnsupported,
            StaleVersion,
        ],
        error_examples={
            "nothing_to_refund": TOO_MANY,
            "nothing_to_return": TOO_MANY,
            "refund_exceeds_captured": {"captured": "59.70", "refundable": "10.00"},
        },
        dry_run=True,
    )
    def create(self, request: Request, id: Any) -> Response:
        data = dict(self.parse(RefundInput))
        items = data.pop("items", None)
        refund = refund_payment(
            actor=self.actor,
            payment_id=self.path_id(),
            items=None if items is None else [RefundedItem(**item) for item in items],
            expected_version=self.expected_version(),
            **data,
        )
        return Response(RefundOutput(refund).data, status=202)
