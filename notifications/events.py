"""Events of notifications."""

from __future__ import annotations

from uuid import UUID

from oms.events.types import DomainEvent, event


@event("notification.created")
class NotificationCreated(DomainEvent):
    """A customer has a new in-app notification; `kind` and `subject` are its own."""

    notification_id: UUID
    customer_id: UUID
    order_id: UUID | None
    kind: str
    subject: str


@event("notification.retried")
class NotificationRetried(DomainEvent):
    """Staff retried a failed mail."""

    notification_id: UUID
    kind: str
    email: str
    order_id: UUID | None = None
