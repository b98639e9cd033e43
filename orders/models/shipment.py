"""Shipments and their items."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from oms.core.ids import new_id
from orders.models.order import Order, OrderItem
from orders.states import ShipmentStatus
from orders.tracking import tracking_url

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager


class Shipment(models.Model):
    """Items of one order shipped together."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="shipments")
    status = models.CharField(
        _("status"), max_length=9, choices=ShipmentStatus, default=ShipmentStatus.PENDING
    )
    carrier = models.CharField(_("carrier"), max_length=100, blank=True)
    tracking_number = models.CharField(_("tracking number"), max_length=100, blank=True)
    created_at = models.DateTimeField(_("created"))
    shipped_at = models.DateTimeField(_("shipped"), null=True, blank=True)
    delivered_at = models.DateTimeField(_("delivered"), null=True, blank=True)

    order_id: UUID
    items: RelatedManager[ShipmentItem]

    class Meta:
        ordering = ["id"]
        verbose_name = _("shipment")
        verbose_name_plural = _("shipments")
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=ShipmentStatus.values), name="shipment_status_known"
            )
        ]
        indexes = [
            models.Index(fields=["tracking_number"], name="shipment_tracking_number"),
            models.Index(
                fields=["status", "-id"],
                name="shipment_not_delivered",
                condition=~Q(status=ShipmentStatus.DELIVERED),
            ),
        ]

    def __str__(self) -> str:
        return self.tracking_number or str(self.id)

    @property
    def tracking_url(self) -> str:
        """Where the carrier shows the shipment; "" for unknown carriers."""
        return tracking_url(self.carrier, self.tracking_number)


class ShipmentItem(models.Model):
    """The quantity of an order item in a shipment."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # Indexed by the constraint below.
    shipment = models.ForeignKey(
        Shipment, on_delete=models.PROTECT, related_name="items", db_index=False
    )
    order_item = models.ForeignKey(OrderItem, on_delete=models.PROTECT, related_name="+")
    quantity = models.PositiveIntegerField(_("quantity"))

    class Meta:
        verbose_name = _("shipment item")
        verbose_name_plural = _("shipment items")
        constraints = [
            models.UniqueConstraint(fields=["shipment", "order_item"], name="shipment_item_once"),
            models.CheckConstraint(
                condition=Q(quantity__gt=0), name="shipment_item_quantity_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} × {self.order_item_id}"
