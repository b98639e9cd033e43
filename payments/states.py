"""Statuses of payments and refunds, and the allowed transitions, as tables."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class PaymentStatus(models.TextChoices):
    CREATED = "created", _("created")
    PROCESSING = "processing", _("processing")
    UNKNOWN = "unknown", _("unknown")
    AUTHORIZED = "authorized", _("authorized")
    CAPTURED = "captured", _("captured")
    FAILED = "failed", _("failed")
    VOIDED = "voided", _("voided")


class CaptureMethod(models.TextChoices):
    AUTOMATIC = "automatic", _("automatic")
    MANUAL = "manual", _("manual")


class Origin(models.TextChoices):
    """Who made it: the shop, or somebody else at the provider."""

    SHOP = "shop", _("shop")
    PROVIDER = "provider", _("provider")


class RefundStatus(models.TextChoices):
    REQUESTED = "requested", _("requested")
    PROCESSING = "processing", _("processing")
    UNKNOWN = "unknown", _("unknown")
    SUCCEEDED = "succeeded", _("succeeded")
    FAILED = "failed", _("failed")


# Updates may skip statuses, since a webhook can overtake the response to our call. None can
# be reversed, so late and repeated updates change nothing.
_PAYMENT_OUTCOMES = frozenset(
    {
        PaymentStatus.AUTHORIZED,
        PaymentStatus.CAPTURED,
        PaymentStatus.FAILED,
        PaymentStatus.VOIDED,
    }
)
PAYMENT_TRANSITIONS: dict[PaymentStatus, frozenset[PaymentStatus]] = {
    PaymentStatus.CREATED: _PAYMENT_OUTCOMES | {PaymentStatus.PROCESSING, PaymentStatus.UNKNOWN},
    PaymentStatus.PROCESSING: _PAYMENT_OUTCOMES | {PaymentStatus.UNKNOWN},
    PaymentStatus.UNKNOWN: _PAYMENT_OUTCOMES,
    PaymentStatus.AUTHORIZED: frozenset({PaymentStatus.CAPTURED, PaymentStatus.VOIDED}),
    PaymentStatus.CAPTURED: frozenset(),
    PaymentStatus.FAILED: frozenset(),
    PaymentStatus.VOIDED: frozenset(),
}

_REFUND_OUTCOMES = frozenset({RefundStatus.SUCCEEDED, RefundStatus.FAILED})
REFUND_TRANSITIONS: dict[RefundStatus, frozenset[RefundStatus]] = {
    RefundStatus.REQUESTED: _REFUND_OUTCOMES | {RefundStatus.PROCESSING, RefundStatus.UNKNOWN},
    RefundStatus.PROCESSING: _REFUND_OUTCOMES | {RefundStatus.UNKNOWN},
    RefundStatus.UNKNOWN: _REFUND_OUTCOMES,
    RefundStatus.SUCCEEDED: frozenset(),
    RefundStatus.FAILED: frozenset(),
}

# Without a known outcome.
OPEN = (PaymentStatus.CREATED, PaymentStatus.PROCESSING, PaymentStatus.UNKNOWN)
# May still collect money; an order has one of these at most.
IN_PROGRESS = (*OPEN, PaymentStatus.AUTHORIZED)
# Without a known outcome.
OPEN_REFUNDS = (RefundStatus.REQUESTED, RefundStatus.PROCESSING, RefundStatus.UNKNOWN)

# The failure code of a dispute that the shop has won.
DISPUTE_WON = "dispute_won"
# The failure code of a payment that the provider captured in another currency.
CURRENCY_DIFFERS = "currency_differs"
