"""Events of exceptions, for the audit trail."""

from __future__ import annotations

from uuid import UUID

from oms.events.types import DomainEvent, event


@event("exception.raised")
class ExceptionRaised(DomainEvent):
    exception_id: UUID
    kind: str
    subject: str
    cause: str
    order_id: UUID | None
    payment_id: UUID | None


@event("exception.resolved")
class ExceptionResolved(DomainEvent):
    """`note` is empty where an operation has mended it."""

    exception_id: UUID
    kind: str
    subject: str
    note: str
    order_id: UUID | None
    payment_id: UUID | None
