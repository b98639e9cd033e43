"""What the operations of notifications refuse."""

from __future__ import annotations

from oms.core.errors import Conflict


class NotificationNotRetryable(Conflict):
    """Only e-mail that failed or was given up can be sent again."""

    code = "notification_not_retryable"
