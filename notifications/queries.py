"""Queries for notifications."""

from __future__ import annotations

from django.db.models import QuerySet

from notifications.models import Channel, Notification
from oms.core.actor import Actor
from oms.queue.leases import seconds_overdue


def notifications_of(actor: Actor) -> QuerySet[Notification]:
    """The actor's own in-app notifications, without the columns of e-mails."""
    if actor.id is None:
        return Notification.objects.none()
    own = Notification.objects.filter(recipient_id=actor.id, channel=Channel.IN_APP)
    return own.only("id", "kind", "subject", "body", "order_id", "read_at", "created_at")


def seconds_mail_overdue() -> float:
    """How long the most overdue mail has been waiting, in seconds."""
    return seconds_overdue(Notification)
