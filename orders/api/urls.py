"""The routes of orders, below /api/v1."""

from __future__ import annotations

from django.urls import path

from orders.api.cancellations import OrderCancellations
from orders.api.payments import OrderPayments, PaymentRefunds
from orders.api.returns import AdminReturns, Returns
from orders.api.shipments import AdminShipments, BulkShipments, OrderShipments
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
        "admin/orders/<uuid:id>/cancellations",
        OrderCancellations.as_view({"get": "list", "post": "create"}),
        name="admin-order-cancellations",
    ),
    path(
        "orders/<uuid:id>/shipments",
        OrderShipments.as_view({"get": "list"}),
        name="order-shipments",
    ),
    path(
        "admin/shipments/bulk",
        BulkShipments.as_view({"post": "create"}),
        name="admin-shipments-bulk",
    ),
    path(
        "admin/shipments/<uuid:id>",
        AdminShipments.as_view({"patch": "partial_update"}),
        name="admin-shipment",
    ),
    path(
        "admin/shipments/<uuid:id>/delivered",
        AdminShipments.as_view({"post": "deliver"}),
        name="admin-shipment-delivered",
    ),
    path(
        "orders/<uuid:id>/returns",
        Returns.as_view({"get": "list", "post": "create"}),
        name="order-returns",
    ),
    path("returns/<uuid:id>", Returns.as_view({"get": "retrieve"}), name="return"),
    path("returns/<uuid:id>/cancel", Returns.as_view({"put": "cancel"}), name="return-cancel"),
    path("admin/returns", AdminReturns.as_view({"get": "list_all"}), name="admin-returns"),
    path("admin/returns/<uuid:id>", AdminReturns.as_view({"get": "retrieve"}), name="admin-return"),
    path(
        "admin/orders/<uuid:id>/returns",
        AdminReturns.as_view({"post": "record"}),
        name="admin-order-returns",
    ),
    path(
        "admin/returns/<uuid:id>/approve",
        AdminReturns.as_view({"post": "approve"}),
        name="admin-return-approve",
    ),
    path(
        "admin/returns/<uuid:id>/reject",
        AdminReturns.as_view({"post": "reject"}),
        name="admin-return-reject",
    ),
    path(
        "admin/returns/<uuid:id>/receive",
        AdminReturns.as_view({"post": "receive"}),
        name="admin-return-receive",
    ),
    path(
        "admin/payments/<uuid:id>/refunds",
        PaymentRefunds.as_view({"get": "list", "post": "create"}),
        name="admin-payment-refunds",
    ),
]
