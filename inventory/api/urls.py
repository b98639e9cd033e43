"""The routes of products and stock, below /api/v1."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from inventory.api.documents import Counts, Receipts, Transfers
from inventory.api.stock_alerts import StockAlertView
from inventory.api.views import (
    AdjustmentView,
    AvailabilityView,
    LowStockView,
    MovementView,
    ProductViewSet,
)

router = SimpleRouter(trailing_slash=False)
router.register("products", ProductViewSet, basename="product")

urlpatterns = [
    path("admin/inventory/adjustments", AdjustmentView.as_view(), name="stock-adjustments"),
    path("admin/inventory/movements", MovementView.as_view(), name="stock-movements"),
    path("admin/inventory/low-stock", LowStockView.as_view(), name="low-stock"),
    path(
        "admin/inventory/receipts",
        Receipts.as_view({"get": "list", "post": "create"}),
        name="stock-receipts",
    ),
    path(
        "admin/inventory/receipts/<uuid:id>",
        Receipts.as_view({"get": "retrieve"}),
        name="stock-receipt",
    ),
    path(
        "admin/inventory/transfers",
        Transfers.as_view({"get": "list", "post": "create"}),
        name="stock-transfers",
    ),
    path(
        "admin/inventory/transfers/<uuid:id>",
        Transfers.as_view({"get": "retrieve"}),
        name="stock-transfer",
    ),
    path(
        "admin/inventory/counts",
        Counts.as_view({"get": "list", "post": "create"}),
        name="stock-counts",
    ),
    path(
        "admin/inventory/counts/<uuid:id>",
        Counts.as_view({"get": "retrieve"}),
        name="stock-count",
    ),
    path(
        "admin/inventory/<uuid:id>/availability",
        AvailabilityView.as_view(),
        name="product-availability",
    ),
    path(
        "products/<uuid:id>/stock-alerts",
        StockAlertView.as_view(),
        name="product-stock-alerts",
    ),
    *router.urls,
]
