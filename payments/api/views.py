"""Payments as staff see them, and the door for what providers tell."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from oms.api.documentation import documented
from oms.api.permissions import AllowAny, IsStaff
from oms.api.views import ApiView, ApiViewSet
from oms.core import clock
from oms.core.errors import NotFound
from payments.api.examples import ADMIN_PAYMENT
from payments.api.filters import PaymentFilters
from payments.api.serializers import AdminPaymentOutput
from payments.gateways.base import InvalidProviderEvent
from payments.gateways.registry import UnknownProvider
from payments.operations.webhooks import receive_webhook
from payments.queries import all_payments
from payments.signatures import InvalidSignature


class AdminPayments(ApiViewSet):
    """Every attempt at paying any order."""

    permission_classes = [IsStaff]
    filterset_class = PaymentFilters
    # Ids are UUIDv7, so their order is that of creation.
    orderings = {"created_at": "id", "updated_at": "updated_at"}

    @documented(
        summary="List payments",
        description="All payments with their refunds, newest first.",
        response=AdminPaymentOutput,
        response_example=ADMIN_PAYMENT,
    )
    def list(self, request: Request) -> Response:
        return self.page(all_payments(), AdminPaymentOutput)

    @documented(
        summary="Show a payment",
        description="One payment with its refunds.",
        response=AdminPaymentOutput,
        response_example=ADMIN_PAYMENT,
    )
    def retrieve(self, request: Request, id: Any) -> Response:
        payment = all_payments().filter(pk=self.path_id()).first()
        if payment is None:
            raise NotFound
        return Response(AdminPaymentOutput(payment).data)


class ProviderWebhook(ApiView):
    """Where payment providers report what became of charges and refunds."""

    authentication_classes = []
    permission_classes = [AllowAny]

    @documented(
        summary="Report news of a payment",
        description=(
            "For payment providers. The body is signed as Standard Webhooks 1.0 has it; the sandbox"
            " provider sends `webhook-id`, `webhook-timestamp` and `webhook-signature`. News may"
            " come repeatedly, late and in any order; it takes effect once."
        ),
        headers={
            "webhook-id": "The id of the report; repetitions have the same.",
            "webhook-timestamp": "Seconds since 1970; at most five minutes from now.",
            "webhook-signature": "`v1,` and the base64 of the HMAC-SHA256; several, with blanks.",
        },
        errors=[InvalidSignature, InvalidProviderEvent, NotFound],
    )
    def post(self, request: Request, provider: str) -> Response:
        raw = request._request
        try:
            receive_webhook(provider=provider, headers=raw.headers, body=raw.body, now=clock.now())
        except UnknownProvider as error:
            raise NotFound from error
        return Response(status=204)
