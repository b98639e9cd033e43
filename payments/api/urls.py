"""Routes of payments, below /api/v1."""

from __future__ import annotations

from django.urls import path

from payments.api.views import AdminPayments, ProviderWebhooks

urlpatterns = [
    path("admin/payments", AdminPayments.as_view({"get": "list"}), name="admin-payments"),
    path(
        "admin/payments/<uuid:id>",
        AdminPayments.as_view({"get": "retrieve"}),
        name="admin-payment",
    ),
    path(
        "payments/webhooks/<slug:provider>",
        ProviderWebhooks.as_view({"post": "receive"}),
        name="payment-webhook",
    ),
]
