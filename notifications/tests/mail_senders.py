"""Sending due mail, in tests."""

from __future__ import annotations

from collections.abc import Callable

from django.db.models.functions import Now

from notifications.models import Notification
from notifications.operations.sending import MailSender

MakeMail = Callable[..., Notification]
MakeMails = Callable[..., list[Notification]]


def make_due(notification: Notification) -> None:
    """End its pause."""
    Notification.objects.filter(pk=notification.pk).update(next_attempt_at=Now())


def send_all(sender: MailSender) -> int:
    """Send until nothing is due; returns how many mails were attempted."""
    count = 0
    while attempted := sender.send_batch():
        count += attempted
    sender.close()
    return count
