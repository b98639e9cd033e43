"""Sending what waits, in tests."""

from __future__ import annotations

from collections.abc import Callable

from django.db.models.functions import Now

from notifications.models import Notification
from notifications.operations.sending import MailSender

MakeMail = Callable[..., Notification]


def make_due(notification: Notification) -> None:
    """Let its pause be over."""
    Notification.objects.filter(pk=notification.pk).update(next_attempt_at=Now())


def send_all(postman: MailSender) -> int:
    """Let `postman` send until nothing is due; returns how many mails it tried."""
    count = 0
    while tried := postman.send_batch():
        count += tried
    postman.close()
    return count
