"""An order and its items."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Reverse
from django.utils.translation import gettext_lazy as _

from oms.core.ids import new_id
from oms.core.languages import MAX_LANGUAGE_LENGTH
from oms.core.money import ZERO, CurrencyField, MoneyField, fits_currency
from orders.errors import InvalidTransition
from orders.rules import OrderRules
from orders.states import FulfilmentState, OrderStatus, PaymentState

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager

    from orders.models.cancellation import Cancellation
    from orders.models.returns import OrderReturn


class Order(OrderRules, models.Model):
    """A customer's order at the prices of the time of placing.

    The id is a UUIDv7 of that time, so newer orders have greater ids.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # Collated by bytes, so that the index serves prefix searches in any language.
    number = models.CharField(_("number"), max_length=20, db_collation="C")
    customer = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        verbose_name=_("customer"),
    )
    status = models.CharField(
        _("status"), max_length=10, choices=OrderStatus, default=OrderStatus.PENDING
    )
    payment_status = models.CharField(
        _("payment"), max_length=18, choices=PaymentState, default=PaymentState.UNPAID
    )
    fulfilment_status = models.CharField(
        _("fulfilment"),
        max_length=17,
        choices=FulfilmentState,
        default=FulfilmentState.UNFULFILLED,
    )
    currency = CurrencyField(_("currency"))
    total = MoneyField(_("total"))
    shipping_address = models.JSONField(_("shipping address"))
    billing_address = models.JSONField(_("billing address"), null=True, blank=True)
    note = models.CharField(_("note"), max_length=1000, blank=True)
    # Those below with a default of the database's, so that processes of the version before can
    # still place orders.
    internal_note = models.CharField(
        _("internal note"),
        max_length=2000,
        blank=True,
        db_default="",
        help_text=_("For staff only. Customers never see it."),
    )
    # NULL and not "" where there is none: the unique index is of the others alone.
    reference = models.CharField(
        _("reference"), max_length=64, null=True, blank=True, db_collation="C"
    )
    metadata = models.JSONField(_("metadata"), default=dict, blank=True, db_default={})
    language = models.CharField(
        _("language"),
        max_length=MAX_LANGUAGE_LENGTH,
        blank=True,
        db_default="",
        help_text=_("A language tag such as de-AT (BCP 47). Empty: the shop's own language."),
    )
    placed_at = models.DateTimeField(_("placed"))
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    confirmed_at = models.DateTimeField(_("confirmed"), null=True, blank=True)
    cancelled_at = models.DateTimeField(_("cancelled"), null=True, blank=True)
    deleted_at = models.DateTimeField(_("deleted"), null=True, blank=True)
    updated_at = models.DateTimeField(_("updated"))
    version = models.PositiveIntegerField(_("version"), default=1)

    customer_id: UUID
    items: RelatedManager[OrderItem]
    returns: RelatedManager[OrderReturn]
    cancellations: RelatedManager[Cancellation]

    class Meta:
        verbose_name = _("order")
        verbose_name_plural = _("orders")
        constraints = [
            # Random; see oms.db.transactions.is_retried.
            models.UniqueConstraint(fields=["number"], name="order_number_drawn"),
            # By the reference first, so that it serves staff too, who search all customers' orders.
            models.UniqueConstraint(
                fields=["reference", "customer"],
                name="order_reference_once",
                condition=Q(reference__isnull=False),
            ),
            models.CheckConstraint(
                condition=Q(status__in=OrderStatus.values), name="order_status_known"
            ),
            models.CheckConstraint(
                condition=Q(payment_status__in=PaymentState.values),
                name="order_payment_status_known",
            ),
            models.CheckConstraint(
                condition=Q(fulfilment_status__in=FulfilmentState.values),
                name="order_fulfilment_status_known",
            ),
            models.CheckConstraint(condition=Q(total__gte=ZERO), name="order_total_not_negative"),
            models.CheckConstraint(
                condition=fits_currency("total"), name="order_total_fits_currency"
            ),
            # Reports count by these times.
            models.CheckConstraint(
                condition=Q(status=OrderStatus.CANCELLED, cancelled_at__isnull=False)
                | (~Q(status=OrderStatus.CANCELLED) & Q(cancelled_at__isnull=True)),
                name="order_cancelled_has_its_moment",
            ),
            models.CheckConstraint(
                condition=Q(confirmed_at__isnull=False)
                | Q(
                    status__in=[
                        OrderStatus.PENDING,
                        OrderStatus.ON_HOLD,
                        OrderStatus.EXPIRED,
                        OrderStatus.CANCELLED,
                    ]
                ),
                name="order_confirmed_has_its_moment",
            ),
        ]
        indexes = [
            models.Index(
                fields=["customer", "-id"],
                name="order_of_customer",
                condition=Q(deleted_at__isnull=True),
            ),
            models.Index(fields=["status", "-id"], name="order_by_status"),
            # Without the most common states: a page of those is found without an index, and every
            # index that contains an order is written with each of its transitions.
            models.Index(
                fields=["payment_status", "-id"],
                name="order_not_paid",
                condition=~Q(payment_status=PaymentState.PAID),
            ),
            models.Index(
                fields=["fulfilment_status", "-id"],
                name="order_fulfilled",
                condition=~Q(fulfilment_status=FulfilmentState.UNFULFILLED),
            ),
            models.Index(Reverse("number"), name="order_number_end"),
            models.Index(fields=["placed_at", "id"], name="order_placed"),
            models.Index(fields=["updated_at", "id"], name="order_updated"),
            models.Index(
                fields=["confirmed_at"],
                name="order_confirmed",
                condition=Q(confirmed_at__isnull=False),
            ),
            models.Index(
                fields=["cancelled_at"],
                name="order_cancelled",
                condition=Q(cancelled_at__isnull=False),
            ),
            models.Index(
                fields=["expires_at"],
                name="order_expiring",
                condition=Q(status=OrderStatus.PENDING),
            ),
        ]

    def __str__(self) -> str:
        return self.number

    def transition_to(self, status: OrderStatus, *, at: datetime) -> str:
        """Change the status, and return the previous one. Raises InvalidTransition."""
        if status not in self.allowed or (status is OrderStatus.PENDING and self.was_confirmed):
            raise InvalidTransition(
                f"The order is {self.status} and can't be changed to {status}.",
                status=self.status,
                allowed=self.allowed,
            )
        previous, self.status = self.status, status
        if status in (OrderStatus.CONFIRMED, OrderStatus.PROCESSING) and not self.was_confirmed:
            self.confirmed_at = at
        if status is OrderStatus.CANCELLED:
            self.cancelled_at = at
        is_pending = status is OrderStatus.PENDING
        self.expires_at = at + settings.ORDER_EXPIRY if is_pending else None
        self.touch(at=at)
        return previous

    def touch(self, *, at: datetime) -> None:
        """Record a change: a new version, and so a new ETag."""
        self.version += 1
        self.updated_at = at

    def update_fulfilment_status(self, items: Iterable[OrderItem]) -> None:
        """Derive the fulfilment status from the shipped quantities of all its `items`."""
        items = list(items)
        if all(item.left_to_ship == 0 for item in items):
            self.fulfilment_status = FulfilmentState.SHIPPED
        elif any(item.quantity_shipped for item in items):
            self.fulfilment_status = FulfilmentState.PARTIALLY_SHIPPED


class OrderItem(models.Model):
    """A line of an order; name, SKU and price are those of the time of placing."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="items", db_index=False)
    # No query looks up the orders of a product, and products are never deleted.
    product = models.ForeignKey(
        "inventory.Product", on_delete=models.PROTECT, related_name="+", db_index=False
    )
    position = models.PositiveSmallIntegerField(default=0)
    sku = models.CharField(_("SKU"), max_length=64)
    name = models.CharField(_("name"), max_length=200)
    quantity = models.PositiveIntegerField(_("quantity"))
    unit_price = MoneyField(_("unit price"))
    line_total = MoneyField(_("total"))
    # What waits in the inventory's queue, as of the last event of inventory that was processed.
    quantity_waiting = models.PositiveIntegerField(_("waiting"), default=0, db_default=0)
    quantity_shipped = models.PositiveIntegerField(_("shipped"), default=0)
    quantity_returned = models.PositiveIntegerField(_("returned"), default=0)
    # Will not be shipped. The default is the database's, for code of the release before.
    quantity_cancelled = models.PositiveIntegerField(_("cancelled"), default=0, db_default=0)

    class Meta:
        ordering = ["position"]
        verbose_name = _("order item")
        verbose_name_plural = _("order items")
        constraints = [
            models.UniqueConstraint(fields=["order", "product"], name="order_item_product_once"),
            models.CheckConstraint(
                condition=Q(quantity__gt=0), name="order_item_quantity_positive"
            ),
            models.CheckConstraint(
                condition=Q(unit_price__gte=ZERO), name="order_item_price_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(
                    quantity__gte=F("quantity_shipped")
                    + F("quantity_cancelled")
                    + F("quantity_waiting")
                ),
                name="order_item_shipped_within_quantity",
            ),
            models.CheckConstraint(
                condition=Q(quantity_returned__lte=F("quantity_shipped")),
                name="order_item_returned_within_shipped",
            ),
            models.CheckConstraint(
                condition=Q(line_total=F("unit_price") * (F("quantity") - F("quantity_cancelled"))),
                name="order_item_total_is_product",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} × {self.name}"

    @property
    def left_to_ship(self) -> int:
        return self.quantity - self.quantity_cancelled - self.quantity_shipped

    @property
    def allocated(self) -> int:
        """The quantity that is reserved and can be shipped."""
        return self.left_to_ship - self.quantity_waiting

    @property
    def left_to_return(self) -> int:
        return self.quantity_shipped - self.quantity_returned
