"""The routes of products and stock, below /api/v1."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from inventory.api.views import AdjustmentView, LowStockView, MovementView, ProductViewSet

router = SimpleRouter(trailing_slash=False)
router.register("products", ProductViewSet, basename="product")

urlpatterns = [
    path("admin/inventory/adjustments", AdjustmentView.as_view(), name="stock-adjustments"),
    path("admin/inventory/movements", MovementView.as_view(), name="stock-movements"),
    path("admin/inventory/low-stock", LowStockView.as_view(), name="low-stock"),
    *router.urls,
]
