"""Events of notifications."""

from __future__ import annotations

from uuid import UUID

from oms.events.types import DomainEvent, event


@event("notification.retried")
class NotificationRetried(DomainEvent):
    """Staff retried a failed mail."""

    notification_id: UUID
    kind: str
    email: str
    order_id: UUID | None = None
