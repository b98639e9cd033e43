"""The routes of orders, below /api/v1."""

from __future__ import annotations

from django.urls import path

from orders.api.payments import OrderPayments, PaymentRefunds
from orders.api.staff import AdminOrders
from orders.api.statuses import OrderStatuses
from orders.api.views import Orders

urlpatterns = [
    path("orders", Orders.as_view({"get": "list", "post": "create"}), name="orders"),
    path("orders/bulk", Orders.as_view({"post": "create_many"}), name="orders-bulk"),
    path(
        "orders/<uuid:id>",
        Orders.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
        name="order",
    ),
    path(
        "orders/<uuid:id>/status",
        OrderStatuses.as_view({"get": "retrieve", "put": "set_status"}),
        name="order-status",
    ),
    path("orders/<uuid:id>/cancel", Orders.as_view({"put": "cancel"}), name="order-cancel"),
    path(
        "orders/<uuid:id>/payments",
        OrderPayments.as_view({"get": "list", "post": "create"}),
        name="order-payments",
    ),
    path("admin/orders", AdminOrders.as_view({"get": "list"}), name="admin-orders"),
    path(
        "admin/orders/<uuid:id>/status",
        OrderStatuses.as_view({"put": "set_status"}),
        name="admin-order-status",
    ),
    path(
        "admin/orders/<uuid:id>/shipments",
        AdminOrders.as_view({"post": "ship"}),
        name="admin-order-shipments",
    ),
    path(
        "admin/payments/<uuid:id>/refunds",
        PaymentRefunds.as_view({"get": "list", "post": "create"}),
        name="admin-payment-refunds",
    ),
]
