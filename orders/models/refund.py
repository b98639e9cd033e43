"""What of an order was refunded as items; the refunds themselves are rows of payments."""

from __future__ import annotations

from uuid import UUID

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from oms.core.ids import new_id
from orders.models.order import OrderItem


class RefundItem(models.Model):
    """Shipped units whose price a refund includes; some of them returned to the stock with it.

    Units that were not shipped are cancelled instead.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    refund_id = models.UUIDField(_("refund"))
    order_item = models.ForeignKey(OrderItem, on_delete=models.PROTECT, related_name="refunded")
    quantity = models.PositiveIntegerField(_("quantity"))
    quantity_restocked = models.PositiveIntegerField(_("restocked"), default=0)

    order_item_id: UUID

    class Meta:
        verbose_name = _("refunded item")
        verbose_name_plural = _("refunded items")
        constraints = [
            models.UniqueConstraint(fields=["refund_id", "order_item"], name="refund_item_once"),
            models.CheckConstraint(
                condition=Q(quantity__gt=0, quantity_restocked__lte=F("quantity")),
                name="refund_item_quantities_fit",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} × {self.order_item_id}"
