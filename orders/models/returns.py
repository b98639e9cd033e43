"""Returns with their items, and the receipts of what arrived."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from oms.core.ids import new_id
from orders.errors import InvalidTransition
from orders.models.order import Order, OrderItem
from orders.states import OPEN_RETURNS, RETURN_TRANSITIONS, ReturnOutcome, ReturnStatus

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager


class OrderReturn(models.Model):
    """Shipped units that a customer sends back."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="returns")
    status = models.CharField(
        _("status"), max_length=18, choices=ReturnStatus, default=ReturnStatus.REQUESTED
    )
    # Why it was rejected or cancelled.
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("created"))
    updated_at = models.DateTimeField(_("updated"))

    order_id: UUID
    items: RelatedManager[ReturnItem]
    receipts: RelatedManager[ReturnReceipt]

    class Meta:
        ordering = ["id"]
        verbose_name = _("return")
        verbose_name_plural = _("returns")
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=ReturnStatus.values), name="return_status_known"
            )
        ]
        indexes = [
            models.Index(
                fields=["status", "-id"],
                name="return_open",
                condition=Q(status__in=OPEN_RETURNS),
            ),
            models.Index(fields=["updated_at", "id"], name="return_updated"),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def allowed(self) -> frozenset[ReturnStatus]:
        """The statuses to which the return may change."""
        return RETURN_TRANSITIONS[self.status]

    def transition_to(self, status: ReturnStatus, *, at: datetime) -> None:
        """Change the status. Raises InvalidTransition."""
        if status not in self.allowed:
            raise InvalidTransition(
                f"The return is {ReturnStatus(self.status).label} and can't be {status.label}.",
                status=self.status,
                allowed=self.allowed,
            )
        self.status, self.updated_at = status, at


class ReturnItem(models.Model):
    """The quantity of an order item in a return, and how much of it arrived."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # Indexed by the constraint below.
    order_return = models.ForeignKey(
        OrderReturn, on_delete=models.PROTECT, related_name="items", db_index=False
    )
    order_item = models.ForeignKey(OrderItem, on_delete=models.PROTECT, related_name="+")
    quantity = models.PositiveIntegerField(_("quantity"))
    quantity_received = models.PositiveIntegerField(_("received"), default=0)
    reason = models.CharField(_("reason"), max_length=500, blank=True)

    order_item_id: UUID

    class Meta:
        verbose_name = _("return item")
        verbose_name_plural = _("return items")
        constraints = [
            models.UniqueConstraint(fields=["order_return", "order_item"], name="return_item_once"),
            models.CheckConstraint(
                condition=Q(quantity__gt=0, quantity_received__lte=F("quantity")),
                name="return_item_quantities_fit",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} × {self.order_item_id}"

    @property
    def left_to_receive(self) -> int:
        return self.quantity - self.quantity_received


class ReturnReceipt(models.Model):
    """What arrived of a return at one time, and its refund if there is one."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    order_return = models.ForeignKey(OrderReturn, on_delete=models.PROTECT, related_name="receipts")
    refund_id = models.UUIDField(_("refund"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"))

    items: RelatedManager[ReturnReceiptItem]

    class Meta:
        ordering = ["id"]
        verbose_name = _("return receipt")
        verbose_name_plural = _("return receipts")

    def __str__(self) -> str:
        return str(self.id)


class ReturnReceiptItem(models.Model):
    """Units of a return item that arrived; restocked at `location`, "" where they came from."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    receipt = models.ForeignKey(ReturnReceipt, on_delete=models.PROTECT, related_name="items")
    return_item = models.ForeignKey(ReturnItem, on_delete=models.PROTECT, related_name="receipts")
    quantity = models.PositiveIntegerField(_("quantity"))
    outcome = models.CharField(_("outcome"), max_length=8, choices=ReturnOutcome)
    location = models.CharField(_("location"), max_length=32, blank=True)

    class Meta:
        verbose_name = _("received item")
        verbose_name_plural = _("received items")
        constraints = [
            models.CheckConstraint(
                condition=Q(quantity__gt=0), name="return_receipt_quantity_positive"
            ),
            models.CheckConstraint(
                condition=Q(outcome__in=ReturnOutcome.values), name="return_outcome_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity}: {self.outcome}"
