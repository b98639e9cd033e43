"""The ways of a payment and of a refund, as tables."""

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


class RefundStatus(models.TextChoices):
    REQUESTED = "requested", _("requested")
    PROCESSING = "processing", _("processing")
    UNKNOWN = "unknown", _("unknown")
    SUCCEEDED = "succeeded", _("succeeded")
    FAILED = "failed", _("failed")


# News may skip steps: a provider's webhook can overtake the answer to our call. No news leads
# back, so whatever comes late or twice changes nothing.
PAYMENT_TRANSITIONS: dict[PaymentStatus, frozenset[PaymentStatus]] = {
    PaymentStatus.CREATED: frozenset(
        {
            PaymentStatus.PROCESSING,
            PaymentStatus.UNKNOWN,
            PaymentStatus.AUTHORIZED,
            PaymentStatus.CAPTURED,
            PaymentStatus.FAILED,
            PaymentStatus.VOIDED,
        }
    ),
    PaymentStatus.PROCESSING: frozenset(
        {
            PaymentStatus.UNKNOWN,
            PaymentStatus.AUTHORIZED,
            PaymentStatus.CAPTURED,
            PaymentStatus.FAILED,
            PaymentStatus.VOIDED,
        }
    ),
    PaymentStatus.UNKNOWN: frozenset(
        {
            PaymentStatus.AUTHORIZED,
            PaymentStatus.CAPTURED,
            PaymentStatus.FAILED,
            PaymentStatus.VOIDED,
        }
    ),
    PaymentStatus.AUTHORIZED: frozenset({PaymentStatus.CAPTURED, PaymentStatus.VOIDED}),
    PaymentStatus.CAPTURED: frozenset(),
    PaymentStatus.FAILED: frozenset(),
    PaymentStatus.VOIDED: frozenset(),
}

REFUND_TRANSITIONS: dict[RefundStatus, frozenset[RefundStatus]] = {
    RefundStatus.REQUESTED: frozenset(
        {
            RefundStatus.PROCESSING,
            RefundStatus.UNKNOWN,
            RefundStatus.SUCCEEDED,
            RefundStatus.FAILED,
        }
    ),
    RefundStatus.PROCESSING: frozenset(
        {RefundStatus.UNKNOWN, RefundStatus.SUCCEEDED, RefundStatus.FAILED}
    ),
    RefundStatus.UNKNOWN: frozenset({RefundStatus.SUCCEEDED, RefundStatus.FAILED}),
    RefundStatus.SUCCEEDED: frozenset(),
    RefundStatus.FAILED: frozenset(),
}

# A payment that has taken money, or still may.
ACTIVE = (
    PaymentStatus.CREATED,
    PaymentStatus.PROCESSING,
    PaymentStatus.UNKNOWN,
    PaymentStatus.AUTHORIZED,
    PaymentStatus.CAPTURED,
)
# A payment whose outcome is still open.
OPEN = (PaymentStatus.CREATED, PaymentStatus.PROCESSING, PaymentStatus.UNKNOWN)
# The same of a refund.
OPEN_REFUNDS = (RefundStatus.REQUESTED, RefundStatus.PROCESSING, RefundStatus.UNKNOWN)
