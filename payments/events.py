"""Events of payments and refunds; they contain only the id of the order."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from oms.events.types import DomainEvent, event
from payments.states import Origin


@event("payment.requested")
class PaymentRequested(DomainEvent):
    payment_id: UUID
    order_id: UUID
    amount: Decimal
    currency: str
    provider: str


@event("payment.authorized")
class PaymentAuthorized(DomainEvent):
    payment_id: UUID
    order_id: UUID | None
    amount: Decimal
    currency: str


@event("payment.captured")
class PaymentCaptured(DomainEvent):
    """Only of a charge of others that names no order `order_id` is None."""

    payment_id: UUID
    order_id: UUID | None
    amount: Decimal
    currency: str
    origin: str = Origin.SHOP


@event("payment.failed")
class PaymentFailed(DomainEvent):
    payment_id: UUID
    order_id: UUID | None
    code: str
    message: str


@event("payment.became_unknown")
class PaymentBecameUnknown(DomainEvent):
    payment_id: UUID
    order_id: UUID | None


@event("payment.voided")
class PaymentVoided(DomainEvent):
    payment_id: UUID
    order_id: UUID | None


@event("payment.capture_requested")
class PaymentCaptureRequested(DomainEvent):
    payment_id: UUID
    order_id: UUID | None


@event("payment.void_requested")
class PaymentVoidRequested(DomainEvent):
    payment_id: UUID
    order_id: UUID | None


@event("payment.retry_requested")
class PaymentRetryRequested(DomainEvent):
    """What was given up, or waits for its next attempt, is tried at once."""

    payment_id: UUID
    order_id: UUID | None


@event("refund.retry_requested")
class RefundRetryRequested(DomainEvent):
    refund_id: UUID
    payment_id: UUID
    order_id: UUID | None


@event("refund.requested")
class RefundRequested(DomainEvent):
    refund_id: UUID
    payment_id: UUID
    order_id: UUID | None
    amount: Decimal
    currency: str
    reason: str


@event("refund.succeeded")
class RefundSucceeded(DomainEvent):
    refund_id: UUID
    payment_id: UUID
    order_id: UUID | None
    amount: Decimal
    currency: str
    origin: str = Origin.SHOP
    is_dispute: bool = False


@event("refund.failed")
class RefundFailed(DomainEvent):
    refund_id: UUID
    payment_id: UUID
    order_id: UUID | None
    amount: Decimal
    currency: str
    code: str
