"""Errors of notifications."""

from __future__ import annotations

from oms.core.errors import Conflict


class NotificationNotRetryable(Conflict):
    """Only failed or undeliverable emails can be sent again."""

    code = "notification_not_retryable"
