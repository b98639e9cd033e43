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
from orders.api.inputs import PaymentChoiceInput, RefundInput
from orders.errors import OrderNotPayable
from orders.operations.paying import pay_order
from orders.operations.refunding import refund_payment
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
            "Creates another payment if the order has none, or if the last one failed. It is"
            " processed in the background."
        ),
        request=PaymentChoiceInput,
        response=PaymentOutput,
        status=202,
        request_example={"provider": "sandbox", "token": "tok_success"},
        response_example=NEW_PAYMENT,
        errors=[PaymentInProgress, OrderNotPayable, PermissionDenied, StaleVersion],
    )
    def create(self, request: Request, id: Any) -> Response:
        choice = PaymentChoice(**self.parse(PaymentChoiceInput))
        payment = pay_order(
            actor=self.actor,
            order_id=self.path_id(),
            choice=choice,
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
            "Refunds `amount`, by default all that is left, in the background. With `restock` all"
            " shipped items of the order return to stock. If-Match has the order's version."
        ),
        request=RefundInput,
        response=RefundOutput,
        status=202,
        request_example={"amount": "19.90", "reason": "One item arrived damaged."},
        response_example=REFUND,
        errors=[RefundExceedsCaptured, StaleVersion],
        error_examples={
            "refund_exceeds_captured": {"captured": "59.70", "refundable": "10.00"},
        },
    )
    def create(self, request: Request, id: Any) -> Response:
        refund = refund_payment(
            actor=self.actor,
            payment_id=self.path_id(),
            expected_version=self.expected_version(),
            **self.parse(RefundInput),
        )
        return Response(RefundOutput(refund).data, status=202)
