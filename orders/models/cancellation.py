"""Cancellations of quantities, and their items."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from oms.core.ids import new_id
from oms.core.money import ZERO, CurrencyField, MoneyField, fits_currency
from orders.models.order import Order, OrderItem

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager


class Cancellation(models.Model):
    """Units of an order that will not be shipped; `amount` leaves its total at `created_at`."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="cancellations")
    amount = MoneyField(_("amount"))
    currency = CurrencyField(_("currency"))
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    refund_id = models.UUIDField(_("refund"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"))

    order_id: UUID
    items: RelatedManager[CancellationItem]

    class Meta:
        ordering = ["id"]
        verbose_name = _("cancellation")
        verbose_name_plural = _("cancellations")
        constraints = [
            models.CheckConstraint(
                condition=Q(amount__gte=ZERO), name="cancellation_amount_not_negative"
            ),
            models.CheckConstraint(
                condition=fits_currency("amount"), name="cancellation_amount_fits_currency"
            ),
        ]
        indexes = [models.Index(fields=["created_at"], name="cancellation_created")]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"


class CancellationItem(models.Model):
    """The quantity of an order item in a cancellation."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # Indexed by the constraint below.
    cancellation = models.ForeignKey(
        Cancellation, on_delete=models.PROTECT, related_name="items", db_index=False
    )
    order_item = models.ForeignKey(OrderItem, on_delete=models.PROTECT, related_name="+")
    quantity = models.PositiveIntegerField(_("quantity"))

    order_item_id: UUID

    class Meta:
        verbose_name = _("cancellation item")
        verbose_name_plural = _("cancellation items")
        constraints = [
            models.UniqueConstraint(
                fields=["cancellation", "order_item"], name="cancellation_item_once"
            ),
            models.CheckConstraint(
                condition=Q(quantity__gt=0), name="cancellation_item_quantity_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} × {self.order_item_id}"
