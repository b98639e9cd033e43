"""Customers who want a message when a product is back in stock."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from inventory.models.stock import Product
from oms.core.ids import new_id


class StockAlert(models.Model):
    """A customer's request for one message when a product is available again.

    The row is deleted together with writing the message.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # Indexed by the constraint below.
    product = models.ForeignKey(
        Product, on_delete=models.CASCADE, related_name="stock_alerts", db_index=False
    )
    customer = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+"
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("stock alert")
        verbose_name_plural = _("stock alerts")
        constraints = [
            models.UniqueConstraint(fields=["product", "customer"], name="stock_alert_once")
        ]

    def __str__(self) -> str:
        return f"{self.customer_id} waits for {self.product_id}"
