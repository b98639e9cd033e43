"""Products, locations, stock levels, and the ledger of stock movements."""

from __future__ import annotations

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower, Upper
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from oms.core.ids import new_id
from oms.core.money import MAX_PRICE, ZERO, CurrencyField, MoneyField, fits_currency

MAX_QUANTITY = 2_000_000_000


class Location(models.Model):
    """A place that holds stock, such as a warehouse. Orders allocate by ascending priority."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    code = models.CharField(
        _("code"), max_length=32, unique=True, validators=[RegexValidator(r"^[a-z0-9-]+$")]
    )
    name = models.CharField(_("name"), max_length=100)
    priority = models.PositiveIntegerField(
        _("priority"), default=100, help_text=_("Stock is allocated from the lowest number first.")
    )
    is_default = models.BooleanField(_("default"), default=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        ordering = ["priority", "code"]
        verbose_name = _("location")
        verbose_name_plural = _("locations")
        constraints = [
            models.UniqueConstraint(
                fields=["is_default"], condition=Q(is_default=True), name="location_one_default"
            )
        ]

    def __str__(self) -> str:
        return self.name


class Product(models.Model):
    """A product at its present price."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    sku = models.CharField(
        _("SKU"), max_length=64, validators=[RegexValidator(r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")]
    )
    name = models.CharField(_("name"), max_length=200)
    description = models.TextField(_("description"), blank=True, max_length=10_000)
    category = models.CharField(_("category"), max_length=64, blank=True, db_index=True)
    price = MoneyField(_("price"))
    currency = CurrencyField(_("currency"))
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Visible and available for sale.")
    )
    low_stock_threshold = models.PositiveIntegerField(_("low stock threshold"), default=5)
    backorderable = models.BooleanField(
        _("backorderable"), default=False, help_text=_("Can be sold when out of stock.")
    )
    version = models.PositiveIntegerField(_("version"), default=1, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated"), default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]
        verbose_name = _("product")
        verbose_name_plural = _("products")
        constraints = [
            models.UniqueConstraint(Lower("sku"), name="product_sku_once"),
            models.CheckConstraint(
                condition=Q(price__gte=ZERO, price__lte=MAX_PRICE), name="product_price_in_range"
            ),
            models.CheckConstraint(
                condition=fits_currency("price"), name="product_price_fits_currency"
            ),
            models.CheckConstraint(
                condition=Q(low_stock_threshold__lte=MAX_QUANTITY),
                name="product_threshold_in_range",
            ),
        ]
        indexes = [
            GinIndex(OpClass(Upper("name"), "gin_trgm_ops"), name="product_name_search"),
            GinIndex(OpClass(Upper("sku"), "gin_trgm_ops"), name="product_sku_search"),
            models.Index(fields=["updated_at", "id"], name="product_updated"),
            models.Index(fields=["name", "id"], name="product_by_name"),
            models.Index(fields=["price", "id"], name="product_by_price"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.sku})"


class StockLevel(models.Model):
    """The quantity of a product on hand at a location, and how much of it is reserved.

    What orders want beyond that waits; see WaitingItem.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # Indexed by the constraint below.
    product = models.ForeignKey(
        Product, on_delete=models.PROTECT, related_name="stock_levels", db_index=False
    )
    location = models.ForeignKey(Location, on_delete=models.PROTECT, related_name="stock_levels")
    on_hand = models.IntegerField(_("on hand"), default=0)
    reserved = models.IntegerField(_("reserved"), default=0)
    # False and not used since quantities wait, so that processes of the release before sell nothing
    # beyond the stock; the next release drops it, and its part of the constraint below.
    backorderable = models.BooleanField(_("backorderable"), default=False, editable=False)
    updated_at = models.DateTimeField(_("updated"), default=timezone.now)

    class Meta:
        verbose_name = _("stock level")
        verbose_name_plural = _("stock levels")
        constraints = [
            models.UniqueConstraint(fields=["product", "location"], name="stock_level_once"),
            models.CheckConstraint(
                condition=Q(on_hand__gte=0, on_hand__lte=MAX_QUANTITY),
                name="stock_on_hand_in_range",
            ),
            models.CheckConstraint(
                condition=Q(reserved__gte=0, reserved__lte=MAX_QUANTITY),
                name="stock_reserved_in_range",
            ),
            models.CheckConstraint(
                condition=Q(reserved__lte=F("on_hand")) | Q(backorderable=True),
                name="stock_reserved_within_on_hand",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.product_id} at {self.location_id}: {self.available}"

    @property
    def available(self) -> int:
        """The quantity that can be reserved."""
        return self.on_hand - self.reserved


class WaitingItem(models.Model):
    """A quantity of a product that an order has not been allocated yet.

    All rows of a product are its queue, for all locations, served by ascending `place`, a UUIDv7
    that is unique in the queue: the order's own id, also for a quantity that it had been allocated
    and lost again, or a new id for what the order asks for later. While anything waits for a
    product, nothing of it is available. The queue changes only while the product's stock levels are
    locked.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # Indexed by the constraint below.
    product = models.ForeignKey(
        Product, on_delete=models.PROTECT, related_name="queue", db_index=False
    )
    order_id = models.UUIDField(_("order"))
    place = models.UUIDField(_("place in the queue"))
    quantity = models.PositiveIntegerField(_("quantity"))
    created_at = models.DateTimeField(_("waiting since"))

    class Meta:
        verbose_name = _("waiting item")
        verbose_name_plural = _("waiting items")
        constraints = [
            models.UniqueConstraint(fields=["product", "place"], name="waiting_item_place_once"),
            models.CheckConstraint(
                condition=Q(quantity__gt=0, quantity__lte=MAX_QUANTITY),
                name="waiting_item_quantity_in_range",
            ),
        ]
        indexes = [models.Index(fields=["order_id"], name="waiting_item_of_order")]

    def __str__(self) -> str:
        return f"{self.quantity} of {self.product_id} for {self.order_id}"


class MovementKind(models.TextChoices):
    RECEIVE = "receive", _("received")
    ADJUST = "adjust", _("adjusted")
    TRANSFER = "transfer", _("transferred")
    RESERVE = "reserve", _("reserved")
    RELEASE = "release", _("released")
    SHIP = "ship", _("shipped")
    RETURN = "return", _("returned")


# How each kind may change `on_hand` and `reserved`.
_KIND_RULES = (
    Q(kind__in=[MovementKind.RECEIVE, MovementKind.RETURN], on_hand_delta__gt=0, reserved_delta=0)
    | Q(
        ~Q(on_hand_delta=0),
        kind__in=[MovementKind.ADJUST, MovementKind.TRANSFER],
        reserved_delta=0,
    )
    | Q(kind=MovementKind.RESERVE, on_hand_delta=0, reserved_delta__gt=0)
    | Q(kind=MovementKind.RELEASE, on_hand_delta=0, reserved_delta__lt=0)
    | Q(kind=MovementKind.SHIP, on_hand_delta__lt=0, reserved_delta=F("on_hand_delta"))
)


class StockMovement(models.Model):
    """A change of one stock level, with the balances after it. Append-only.

    `reference` names its cause, such as "order:<id>:placed"; it is unique together with kind,
    product and location, which makes every operation idempotent.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # Indexed by product below; no query lists the movements of a location alone.
    product = models.ForeignKey(
        Product, on_delete=models.PROTECT, related_name="movements", db_index=False
    )
    location = models.ForeignKey(
        Location, on_delete=models.PROTECT, related_name="movements", db_index=False
    )
    kind = models.CharField(_("type"), max_length=8, choices=MovementKind)
    on_hand_delta = models.IntegerField(_("on hand change"), default=0)
    reserved_delta = models.IntegerField(_("reserved change"), default=0)
    on_hand_after = models.IntegerField(_("on hand after"))
    reserved_after = models.IntegerField(_("reserved after"))
    reference = models.CharField(_("reference"), max_length=100)
    reason = models.CharField(_("reason"), max_length=16, blank=True)
    note = models.CharField(_("note"), max_length=500, blank=True)
    order_id = models.UUIDField(_("order"), null=True)
    actor_id = models.UUIDField(null=True)
    actor_label = models.CharField(_("by"), max_length=254)
    created_at = models.DateTimeField(_("date"))

    class Meta:
        verbose_name = _("stock movement")
        verbose_name_plural = _("stock movements")
        constraints = [
            models.UniqueConstraint(
                fields=["reference", "kind", "product", "location"], name="movement_once"
            ),
            models.CheckConstraint(condition=_KIND_RULES, name="movement_moves_as_its_kind"),
            models.CheckConstraint(
                condition=Q(on_hand_after__gte=0, reserved_after__gte=0),
                name="movement_balances_not_negative",
            ),
        ]
        indexes = [
            models.Index(fields=["product", "-id"], name="movement_of_product"),
            # Without the two most frequent kinds.
            models.Index(
                fields=["kind", "-id"],
                name="movement_of_rare_kind",
                condition=~Q(kind__in=[MovementKind.RESERVE, MovementKind.SHIP]),
            ),
            models.Index(
                fields=["order_id"], name="movement_of_order", condition=Q(order_id__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        kind = self.get_kind_display().capitalize()
        return f"{kind}: {self.on_hand_delta:+} on hand, {self.reserved_delta:+} reserved"
