"""Routes of payments, below /api/v1."""

from __future__ import annotations

from django.urls import path

from payments.api.views import AdminPayments, ProviderWebhook

urlpatterns = [
    path("admin/payments", AdminPayments.as_view({"get": "list"}), name="admin-payments"),
    path(
        "admin/payments/<uuid:id>",
        AdminPayments.as_view({"get": "retrieve"}),
        name="admin-payment",
    ),
    path("payments/webhooks/<slug:provider>", ProviderWebhook.as_view(), name="payment-webhook"),
]
