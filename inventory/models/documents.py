"""Stock documents: receipts, transfers and counts of many products."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from inventory.models.stock import MAX_QUANTITY, Location, Product
from oms.core.ids import new_id


class DocumentKind(models.TextChoices):
    RECEIPT = "receipt", _("receipt")
    TRANSFER = "transfer", _("transfer")
    COUNT = "count", _("count")


class StockDocument(models.Model):
    """A receipt, transfer or count, known to clients by a `reference` that is unique by kind.

    `fingerprint` is the SHA-256 of its content, which distinguishes a repeated call from another
    document under the same reference. A receipt is booked in several transactions: `items_booked`
    says how far it is, and `completed_at` is empty until all of it is. Its movements have the
    `movement_reference`.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(_("type"), max_length=8, choices=DocumentKind)
    reference = models.CharField(_("reference"), max_length=64)
    fingerprint = models.CharField(max_length=64, editable=False)
    # Where stock is received, counted, or transferred to. No query lists those of a location alone.
    location = models.ForeignKey(
        Location, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    from_location = models.ForeignKey(
        Location, on_delete=models.PROTECT, related_name="+", null=True, db_index=False
    )
    items_total = models.PositiveIntegerField(_("items"))
    items_booked = models.PositiveIntegerField(_("items booked"), default=0)
    completed_at = models.DateTimeField(_("completed"), null=True)
    actor_id = models.UUIDField(null=True)
    actor_label = models.CharField(_("by"), max_length=254)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("stock document")
        verbose_name_plural = _("stock documents")
        constraints = [
            models.UniqueConstraint(fields=["kind", "reference"], name="stock_document_once"),
            models.CheckConstraint(
                condition=Q(kind=DocumentKind.TRANSFER, from_location__isnull=False)
                | Q(~Q(kind=DocumentKind.TRANSFER), from_location__isnull=True),
                name="stock_document_only_transfers_from",
            ),
            models.CheckConstraint(
                condition=~Q(from_location=F("location")) | Q(from_location__isnull=True),
                name="stock_document_between_locations",
            ),
            models.CheckConstraint(
                condition=Q(items_booked=F("items_total"), completed_at__isnull=False)
                | Q(items_booked__lt=F("items_total"), completed_at__isnull=True),
                name="stock_document_completed_when_booked",
            ),
        ]
        indexes = [
            models.Index(fields=["kind", "-id"], name="stock_document_of_kind"),
            models.Index(
                fields=["id"],
                name="stock_document_unfinished",
                condition=Q(completed_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display().capitalize()} {self.reference}"

    @property
    def movement_reference(self) -> str:
        """The reference of its stock movements."""
        return f"{self.kind}:{self.id}"

    @property
    def is_completed(self) -> bool:
        return self.completed_at is not None


class StockDocumentItem(models.Model):
    """One product of a stock document.

    `quantity` is what is received, transferred or counted. `on_hand_delta` is the booked change at
    the document's location, and empty until the item is booked.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # Indexed by the constraints below.
    document = models.ForeignKey(
        StockDocument, on_delete=models.PROTECT, related_name="items", db_index=False
    )
    number = models.PositiveSmallIntegerField()
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="+")
    quantity = models.PositiveIntegerField(_("quantity"))
    expected_on_hand = models.PositiveIntegerField(_("expected on hand"), null=True)
    on_hand_delta = models.IntegerField(_("on hand change"), null=True)

    class Meta:
        ordering = ["number"]
        verbose_name = _("stock document item")
        verbose_name_plural = _("stock document items")
        constraints = [
            models.UniqueConstraint(
                fields=["document", "number"], name="stock_document_item_numbered"
            ),
            models.UniqueConstraint(
                fields=["document", "product"], name="stock_document_item_once"
            ),
            models.CheckConstraint(
                condition=Q(quantity__lte=MAX_QUANTITY), name="stock_document_item_in_range"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.product_id}: {self.quantity}"
