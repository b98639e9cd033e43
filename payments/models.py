"""Payments and refunds: each is a committed row before the provider is called."""

from __future__ import annotations

from decimal import Decimal

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from oms.core.ids import new_id
from oms.core.money import ZERO, CurrencyField, MoneyField, fits_currency
from oms.queue.leases import LeasedWork, lease_indexes
from payments.states import (
    IN_PROGRESS,
    OPEN,
    OPEN_REFUNDS,
    CaptureMethod,
    Origin,
    PaymentStatus,
    RefundStatus,
)


class RequestedAction(models.TextChoices):
    """The action requested for an authorized payment."""

    NONE = "", _("none")
    CAPTURE = "capture", _("capture")
    VOID = "void", _("void")


class Payment(LeasedWork):
    """One attempt to collect the money for an order.

    Its id is the idempotency key of the charge, so it is charged once however often it is sent. A
    retry after a decline is another row.

    One of origin `provider` is money that was captured otherwise: by somebody else with the same
    account, or after ours had failed. `charge_key` is the key of its charge, which may be one of
    ours; the order is the one that the provider names, None if it names none.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    order_id = models.UUIDField(_("order"), null=True)
    origin = models.CharField(
        _("origin"), max_length=8, choices=Origin, default=Origin.SHOP, db_default=Origin.SHOP
    )
    charge_key = models.CharField(
        _("provider's key"), max_length=255, blank=True, default="", db_default=""
    )
    provider = models.CharField(_("provider"), max_length=32)
    token = models.CharField(_("token"), max_length=255)
    capture_method = models.CharField(
        _("capture method"), max_length=9, choices=CaptureMethod, default=CaptureMethod.AUTOMATIC
    )
    requested_action = models.CharField(
        _("requested action"),
        db_column="wanted",
        max_length=7,
        choices=RequestedAction,
        default=RequestedAction.NONE,
        blank=True,
    )
    amount = MoneyField(_("amount"))
    currency = CurrencyField(_("currency"))
    status = models.CharField(
        _("status"), max_length=10, choices=PaymentStatus, default=PaymentStatus.CREATED
    )
    captured_amount = MoneyField(_("captured amount"), default=ZERO)
    # Includes refunds that are still open, so that concurrent ones cannot exceed the rest.
    refunded_amount = MoneyField(_("refunded amount"), default=ZERO)
    # The part of it that others refunded at the provider, where they do not see our open refunds.
    refunded_at_provider = MoneyField(_("refunded at the provider"), default=ZERO, db_default=ZERO)
    provider_reference = models.CharField(_("provider's reference"), max_length=100, blank=True)
    failure_code = models.CharField(_("failure code"), max_length=64, blank=True)
    failure_message = models.CharField(_("failure message"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated"), default=timezone.now, editable=False)
    captured_at = models.DateTimeField(_("captured at"), null=True, blank=True)

    # A capture or void is requested of authorized payments alone.
    unfinished = Q(status__in=OPEN) | (
        Q(status=PaymentStatus.AUTHORIZED) & ~Q(requested_action=RequestedAction.NONE)
    )

    class Meta:
        verbose_name = _("payment")
        verbose_name_plural = _("payments")
        constraints = [
            models.UniqueConstraint(
                fields=["order_id"],
                condition=Q(status__in=IN_PROGRESS),
                name="payment_one_in_progress_for_order",
            ),
            models.CheckConstraint(condition=Q(amount__gt=ZERO), name="payment_amount_positive"),
            # Not within `amount`: what a provider captured is recorded as it is.
            models.CheckConstraint(
                condition=Q(
                    refunded_at_provider__gte=ZERO,
                    refunded_at_provider__lte=F("captured_amount"),
                    refunded_amount__gte=F("refunded_at_provider"),
                    refunded_amount__lte=F("captured_amount") + F("refunded_at_provider"),
                ),
                name="payment_each_refunded_within_captured",
            ),
            models.CheckConstraint(
                condition=Q(status=PaymentStatus.CAPTURED) | Q(captured_amount=ZERO),
                name="payment_captured_amount_when_captured",
            ),
            models.CheckConstraint(
                condition=fits_currency("amount", "captured_amount", "refunded_amount"),
                name="payment_amounts_fit_currency",
            ),
        ]
        indexes = [
            models.Index(fields=["order_id", "id"], name="payment_of_order"),
            *lease_indexes("payment"),
            models.Index(fields=["updated_at", "id"], name="payment_updated"),
            # Without captured ones, which are so frequent that no index is needed.
            models.Index(
                fields=["status", "-id"],
                name="payment_not_captured",
                condition=~Q(status=PaymentStatus.CAPTURED),
            ),
            models.Index(
                fields=["provider_reference"],
                name="payment_reference",
                condition=~Q(provider_reference=""),
            ),
            models.Index(
                fields=["charge_key"], name="payment_charge_key", condition=~Q(charge_key="")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}, {self.get_status_display()}"

    @property
    def is_open(self) -> bool:
        """Whether its outcome is still unknown."""
        return self.status in OPEN

    @property
    def refundable(self) -> Decimal:
        """The captured amount less all refunds that have not failed; never negative."""
        return max(self.captured_amount - self.refunded_amount, ZERO)


class Refund(LeasedWork):
    """A refund of a payment, whose `refunded_amount` includes it from the request on.

    One of origin `provider` was made by somebody else at the provider. A dispute is such a refund
    that is in progress until it is decided: lost, it has succeeded; won, it has failed. It has
    several rows with the same reference if parts of it were recorded as they fitted.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="refunds")
    order_id = models.UUIDField(_("order"), null=True)
    origin = models.CharField(
        _("origin"), max_length=8, choices=Origin, default=Origin.SHOP, db_default=Origin.SHOP
    )
    # The first one, if an amount was refunded of several payments.
    part_of = models.UUIDField(_("part of"), null=True, blank=True)
    is_dispute = models.BooleanField(_("dispute"), default=False, db_default=False)
    amount = MoneyField(_("amount"))
    currency = CurrencyField(_("currency"))
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    status = models.CharField(
        _("status"), max_length=10, choices=RefundStatus, default=RefundStatus.REQUESTED
    )
    provider_reference = models.CharField(_("provider's reference"), max_length=100, blank=True)
    failure_code = models.CharField(_("failure code"), max_length=64, blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated"), default=timezone.now, editable=False)
    succeeded_at = models.DateTimeField(_("succeeded at"), null=True, blank=True)

    unfinished = Q(status__in=OPEN_REFUNDS, origin=Origin.SHOP)

    class Meta:
        verbose_name = _("refund")
        verbose_name_plural = _("refunds")
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=ZERO), name="refund_amount_positive"),
            models.CheckConstraint(
                condition=fits_currency("amount"), name="refund_amount_fits_currency"
            ),
        ]
        indexes = [
            models.Index(fields=["order_id"], name="refund_of_order"),
            models.Index(fields=["succeeded_at"], name="refund_succeeded"),
            *lease_indexes("refund"),
            models.Index(
                fields=["status", "-id"],
                name="refund_not_succeeded",
                condition=~Q(status=RefundStatus.SUCCEEDED),
            ),
            models.Index(
                fields=["provider_reference"],
                name="refund_reference",
                condition=~Q(provider_reference=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}, {self.get_status_display()}"

    @property
    def payment_left(self) -> Decimal:
        """What is left to refund of its payment."""
        return self.payment.refundable


class UnmatchedRefund(models.Model):
    """A refund or dispute at the provider of which `amount` fits no money that we know of yet.

    It is recorded once its charge is known and has room for it, and the row is deleted then. What
    failed before stays, with an `amount` of 0.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    provider = models.CharField(_("provider"), max_length=32)
    provider_reference = models.CharField(_("provider's reference"), max_length=100)
    charge_reference = models.CharField(_("provider's charge"), max_length=100)
    amount = MoneyField(_("amount"))
    currency = models.CharField(_("currency"), max_length=3, blank=True)
    status = models.CharField(_("status"), max_length=10, choices=RefundStatus)
    is_dispute = models.BooleanField(_("dispute"))
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("created"))
    # Whether it has been an exception, which staff may have resolved.
    is_reported = models.BooleanField(_("reported"), default=False)

    class Meta:
        verbose_name = _("unmatched refund")
        verbose_name_plural = _("unmatched refunds")
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "provider_reference"], name="unmatched_refund_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}, {self.get_status_display()}"


class ProviderMessage(models.Model):
    """A received webhook, stored under its own id so that a repetition is recognised."""

    provider = models.CharField(_("provider"), max_length=32)
    message_id = models.CharField(_("message ID"), max_length=255)
    type = models.CharField(_("type"), max_length=64)
    body = models.JSONField(_("body"))
    received_at = models.DateTimeField(_("received at"))

    class Meta:
        verbose_name = _("provider message")
        verbose_name_plural = _("provider messages")
        constraints = [
            models.UniqueConstraint(fields=["provider", "message_id"], name="provider_message_once")
        ]
        indexes = [models.Index(fields=["received_at", "id"], name="provider_message_received")]

    def __str__(self) -> str:
        return f"{self.provider} {self.type} {self.message_id}"
