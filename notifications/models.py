"""Notifications: one row per event, recipient and channel."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from oms.core.ids import new_id
from oms.queue.leases import LeasedWork, lease_indexes


class Channel(models.TextChoices):
    EMAIL = "email", _("e-mail")
    IN_APP = "in_app", _("in-app")


class Kind(models.TextChoices):
    ORDER_PLACED = "order_placed", _("order placed")
    ORDER_PAID = "order_paid", _("order paid")
    PAYMENT_FAILED = "payment_failed", _("payment failed")
    ORDER_SHIPPED = "order_shipped", _("order shipped")
    ORDER_DELIVERED = "order_delivered", _("order delivered")
    ORDER_CANCELLED = "order_cancelled", _("order cancelled")
    ORDER_EXPIRED = "order_expired", _("order expired")
    ORDER_REFUNDED = "order_refunded", _("order refunded")
    ITEMS_ALLOCATED = "items_allocated", _("items allocated")
    ITEMS_WAITING = "items_waiting", _("items waiting")
    BACK_IN_STOCK = "back_in_stock", _("back in stock")
    ITEMS_CANCELLED = "items_cancelled", _("items cancelled")
    ORDER_EDITED = "order_edited", _("order changed")
    ADDRESS_CORRECTED = "address_corrected", _("address corrected")
    SHIPMENT_CORRECTED = "shipment_corrected", _("shipment corrected")
    RETURN_REQUESTED = "return_requested", _("return requested")
    RETURN_APPROVED = "return_approved", _("return approved")
    RETURN_REJECTED = "return_rejected", _("return rejected")
    RETURN_CANCELLED = "return_cancelled", _("return cancelled")
    RETURN_RECEIVED = "return_received", _("return received")
    LOW_STOCK = "low_stock", _("low stock")
    STAFF_INVITED = "staff_invited", _("staff invited")
    EXCEPTION = "exception", _("exception")


class DeliveryState(models.TextChoices):
    """The delivery of an e-mail. In-app notifications are `sent` from the start."""

    QUEUED = "queued", _("queued")
    SENDING = "sending", _("sending")
    SENT = "sent", _("sent")
    FAILED = "failed", _("failed, will retry")
    DEAD = "dead", _("undeliverable")


# Nearly every order sends these: any page of them is found without an index, which has the others.
FREQUENT_KINDS = (
    Kind.ORDER_PLACED,
    Kind.ORDER_PAID,
    Kind.ORDER_SHIPPED,
    Kind.ORDER_DELIVERED,
)
# Staff may send these again.
RETRYABLE = (DeliveryState.FAILED, DeliveryState.DEAD)


class Notification(LeasedWork):
    """A message as rendered when its event was handled.

    `recipient` is the customer, or the new member of the staff; other mail to staff has only an
    address. An e-mail's `message_id` never
    changes, so receivers can detect a duplicate.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    event_id = models.UUIDField(_("event"), editable=False)
    recipient = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="+",
        null=True,
        blank=True,
        db_index=False,
        verbose_name=_("recipient"),
    )
    email = models.EmailField(_("e-mail address"), max_length=254)
    channel = models.CharField(_("channel"), max_length=6, choices=Channel)
    kind = models.CharField(_("kind"), max_length=32, choices=Kind)
    subject = models.CharField(_("subject"), max_length=255)
    body = models.TextField(_("text"))
    body_html = models.TextField(_("HTML"), blank=True)
    order_id = models.UUIDField(_("order"), null=True, blank=True)
    state = models.CharField(
        _("state"), max_length=7, choices=DeliveryState, default=DeliveryState.QUEUED
    )
    message_id = models.CharField(_("Message-ID"), max_length=320, blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    sent_at = models.DateTimeField(_("sent"), null=True, blank=True)
    read_at = models.DateTimeField(_("read"), null=True, blank=True)

    unfinished = Q(state=DeliveryState.DEAD)
    waiting_values = {"state": DeliveryState.FAILED}
    given_up_values = {"state": DeliveryState.DEAD}

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        constraints = [
            models.UniqueConstraint(
                fields=["event_id", "channel", "recipient"],
                condition=Q(recipient__isnull=False),
                name="notification_once_for_user",
            ),
            models.UniqueConstraint(
                fields=["event_id", "channel", "email"],
                condition=Q(recipient__isnull=True),
                name="notification_once_for_address",
            ),
            models.CheckConstraint(
                condition=Q(channel=Channel.EMAIL) | Q(recipient__isnull=False),
                name="notification_in_app_has_recipient",
            ),
            models.CheckConstraint(
                condition=~Q(state=DeliveryState.SENT) | Q(sent_at__isnull=False),
                name="notification_sent_has_time",
            ),
        ]
        indexes = [
            models.Index(
                fields=["recipient", "-id"],
                name="notification_of_recipient",
                condition=Q(recipient__isnull=False),
            ),
            models.Index(
                fields=["recipient", "-id"],
                name="notification_unread",
                condition=Q(channel=Channel.IN_APP, read_at__isnull=True),
            ),
            *lease_indexes("notification"),
            models.Index(
                fields=["state", "-id"],
                name="notification_not_sent",
                condition=~Q(state=DeliveryState.SENT),
            ),
            models.Index(
                fields=["kind", "-id"],
                name="notification_by_kind",
                condition=~Q(kind__in=FREQUENT_KINDS),
            ),
            models.Index(
                fields=["order_id"],
                name="notification_of_order",
                condition=Q(order_id__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, {self.email}"

    @property
    def is_retryable(self) -> bool:
        return self.channel == Channel.EMAIL and self.state in RETRYABLE
