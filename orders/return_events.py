"""Events of returns."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from oms.events.types import event
from orders.events import OrderEvent


@dataclass(frozen=True, kw_only=True)
class ReturnEvent(OrderEvent):
    """Any event of a return; `pieces` are units, and `reason` is shown to the customer."""

    return_id: UUID
    pieces: int
    reason: str = ""


@event("return.requested")
class ReturnRequested(ReturnEvent):
    """The customer wants to send units back, or staff expect them.

    With `has_arrived` they are here already, and the event of their receipt follows.
    """

    has_arrived: bool = False


@event("return.approved")
class ReturnApproved(ReturnEvent):
    pass


@event("return.rejected")
class ReturnRejected(ReturnEvent):
    pass


@event("return.cancelled")
class ReturnCancelled(ReturnEvent):
    pass


@event("return.received")
class ReturnReceived(ReturnEvent):
    """Units of the return arrived; `is_complete` if no more are expected.

    `restocked` of them are sold again. `amount` is their refund, zero without one.
    """

    receipt_id: UUID
    restocked: int
    is_complete: bool
    refund_id: UUID | None
    amount: Decimal
    currency: str
