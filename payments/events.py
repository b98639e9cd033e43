"""Events of payments and refunds; they contain only the id of the order."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from oms.events.types import DomainEvent, event


@event("payment.requested")
@dataclass(frozen=True, kw_only=True)
class PaymentRequested(DomainEvent):
    payment_id: UUID
    order_id: UUID
    amount: Decimal
    currency: str
    provider: str


@event("payment.authorized")
@dataclass(frozen=True, kw_only=True)
class PaymentAuthorized(DomainEvent):
    payment_id: UUID
    order_id: UUID
    amount: Decimal
    currency: str


@event("payment.captured")
@dataclass(frozen=True, kw_only=True)
class PaymentCaptured(DomainEvent):
    payment_id: UUID
    order_id: UUID
    amount: Decimal
    currency: str


@event("payment.failed")
@dataclass(frozen=True, kw_only=True)
class PaymentFailed(DomainEvent):
    payment_id: UUID
    order_id: UUID
    code: str
    message: str


@event("payment.became_unknown")
@dataclass(frozen=True, kw_only=True)
class PaymentBecameUnknown(DomainEvent):
    payment_id: UUID
    order_id: UUID


@event("payment.voided")
@dataclass(frozen=True, kw_only=True)
class PaymentVoided(DomainEvent):
    payment_id: UUID
    order_id: UUID


@event("refund.requested")
@dataclass(frozen=True, kw_only=True)
class RefundRequested(DomainEvent):
    refund_id: UUID
    payment_id: UUID
    order_id: UUID
    amount: Decimal
    currency: str
    reason: str


@event("refund.succeeded")
@dataclass(frozen=True, kw_only=True)
class RefundSucceeded(DomainEvent):
    refund_id: UUID
    payment_id: UUID
    order_id: UUID
    amount: Decimal
    currency: str


@event("refund.failed")
@dataclass(frozen=True, kw_only=True)
class RefundFailed(DomainEvent):
    refund_id: UUID
    payment_id: UUID
    order_id: UUID
    amount: Decimal
    currency: str
    code: str
