"""The state machines of orders and shipments."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import models
from django.utils.translation import gettext_lazy as _


class OrderStatus(models.TextChoices):
    PENDING = "pending", _("pending")
    CONFIRMED = "confirmed", _("confirmed")
    PROCESSING = "processing", _("processing")
    ON_HOLD = "on_hold", _("on hold")
    SHIPPED = "shipped", _("shipped")
    DELIVERED = "delivered", _("delivered")
    CANCELLED = "cancelled", _("cancelled")
    EXPIRED = "expired", _("expired")


class PaymentState(models.TextChoices):
    """The order's payment status, derived from its payments."""

    UNPAID = "unpaid", _("unpaid")
    PROCESSING = "processing", _("processing")
    AUTHORIZED = "authorized", _("authorized")
    PARTIALLY_PAID = "partially_paid", _("partially paid")
    PAID = "paid", _("paid")
    FAILED = "failed", _("failed")
    UNKNOWN = "unknown", _("unknown")
    PARTIALLY_REFUNDED = "partially_refunded", _("partially refunded")
    REFUNDED = "refunded", _("refunded")


class FulfilmentState(models.TextChoices):
    """The order's fulfilment status, derived from its shipments."""

    UNFULFILLED = "unfulfilled", _("unfulfilled")
    PARTIALLY_SHIPPED = "partially_shipped", _("partially shipped")
    SHIPPED = "shipped", _("shipped")
    DELIVERED = "delivered", _("delivered")


class ShipmentStatus(models.TextChoices):
    PENDING = "pending", _("pending")
    SHIPPED = "shipped", _("shipped")
    DELIVERED = "delivered", _("delivered")
    CANCELLED = "cancelled", _("cancelled")


class ReturnStatus(models.TextChoices):
    REQUESTED = "requested", _("requested")
    APPROVED = "approved", _("approved")
    PARTIALLY_RECEIVED = "partially_received", _("partially received")
    RECEIVED = "received", _("received")
    REJECTED = "rejected", _("rejected")
    CANCELLED = "cancelled", _("cancelled")


class ReturnOutcome(models.TextChoices):
    """Whether a returned unit is sold again."""

    RESTOCK = "restock", _("restock")
    UNUSABLE = "unusable", _("unusable")


S = OrderStatus

ALLOWED: Mapping[str, frozenset[OrderStatus]] = {
    S.PENDING: frozenset({S.CONFIRMED, S.ON_HOLD, S.CANCELLED, S.EXPIRED}),
    S.CONFIRMED: frozenset({S.PROCESSING, S.ON_HOLD, S.CANCELLED}),
    S.PROCESSING: frozenset({S.ON_HOLD, S.SHIPPED, S.CANCELLED}),
    S.ON_HOLD: frozenset({S.PENDING, S.CONFIRMED, S.PROCESSING, S.CANCELLED}),
    S.SHIPPED: frozenset({S.DELIVERED}),
    S.EXPIRED: frozenset({S.CONFIRMED}),
    S.DELIVERED: frozenset(),
    S.CANCELLED: frozenset(),
}

R = ReturnStatus
_RECEIVED = frozenset({R.PARTIALLY_RECEIVED, R.RECEIVED})

# Staff may receive what was not approved before.
RETURN_TRANSITIONS: Mapping[str, frozenset[ReturnStatus]] = {
    R.REQUESTED: frozenset({R.APPROVED, R.REJECTED, R.CANCELLED}) | _RECEIVED,
    R.APPROVED: frozenset({R.REJECTED, R.CANCELLED}) | _RECEIVED,
    R.PARTIALLY_RECEIVED: _RECEIVED,
    R.RECEIVED: frozenset(),
    R.REJECTED: frozenset(),
    R.CANCELLED: frozenset(),
}
# Statuses in which units are still expected.
OPEN_RETURNS = (R.REQUESTED, R.APPROVED, R.PARTIALLY_RECEIVED)

# Statuses in which unshipped items are reserved.
HOLDS_STOCK = (S.PENDING, S.CONFIRMED, S.PROCESSING, S.ON_HOLD)

# Payments captured now are refunded, unless an expired order can still be confirmed.
ENDED = (S.EXPIRED, S.CANCELLED)
