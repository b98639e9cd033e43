"""Payments for staff, and the webhook endpoint of payment providers."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from oms.api.documentation import documented
from oms.api.handlers import fast_path
from oms.api.permissions import AllowAny, IsStaff
from oms.api.views import ApiViewSet
from oms.core.errors import NotFound
from payments.api.examples import ADMIN_PAYMENT
from payments.api.filters import PaymentFilters
from payments.api.serializers import AdminPaymentOutput
from payments.api.webhooks import ReceiveWebhooks, parse_webhook
from payments.gateways.base import InvalidProviderEvent
from payments.gateways.registry import GATEWAYS
from payments.queries import all_payments
from payments.signatures import InvalidSignature


class AdminPayments(ApiViewSet):
    """The payments of all orders."""

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
        return self.page(all_payments(actor=self.actor), AdminPaymentOutput)

    @documented(
        summary="Show a payment",
        description="One payment with its refunds.",
        response=AdminPaymentOutput,
        response_example=ADMIN_PAYMENT,
    )
    def retrieve(self, request: Request, id: Any) -> Response:
        payment = all_payments(actor=self.actor).filter(pk=self.path_id()).first()
        if payment is None:
            raise NotFound
        return Response(AdminPaymentOutput(payment).data)


class ProviderWebhooks(ApiViewSet):
    """Receives the webhooks of payment providers."""

    authentication_classes = []
    permission_classes = [AllowAny]

    @documented(
        summary="Receive a payment webhook",
        description=(
            "For payment providers. The body is signed as in Standard Webhooks 1.0; the sandbox"
            " provider sends `webhook-id`, `webhook-timestamp` and `webhook-signature`. Webhooks"
            " may arrive repeatedly, late and in any order; each is applied once."
        ),
        headers={
            "webhook-id": "The id of the event; repeated deliveries have the same id.",
            "webhook-timestamp": "Unix time in seconds, at most five minutes from now.",
            "webhook-signature": "`v1,` and the HMAC-SHA256 in base64; several with spaces.",
        },
        errors=[InvalidSignature, InvalidProviderEvent, NotFound],
    )
    @fast_path(
        ReceiveWebhooks,
        "webhook",
        parse=parse_webhook,
        parameters=[{"provider": provider} for provider in GATEWAYS],
    )
    def receive(self, request: Request, provider: str) -> HttpResponse:
        return self.handle()
