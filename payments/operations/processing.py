"""Working off what is due: claim under a lease, call the provider, record what became of it.

The claim is committed before the call and the outcome after it, each in its own transaction; none
is open while the provider thinks. A worker may die at any line: the lease runs out, and the next
one looks the payment up by its key, and sends the same key again if the provider knows nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from django.db import DataError, OperationalError

from oms.core.actor import Actor, system
from oms.core.errors import Unavailable
from oms.db.transactions import durable
from oms.queue.leases import claim_due
from payments.gateways.base import (
    ChargeResult,
    ChargeStatus,
    GatewayRejected,
    RefundResult,
)
from payments.gateways.base import RefundStatus as RefundOutcome
from payments.models import Payment, Refund, RequestedAction
from payments.operations.outcomes import ChargeUpdate, record_charges, record_refund
from payments.operations.provider_calls import call_for_payment, call_for_refund
from payments.operations.retry_policy import (
    MAX_ATTEMPTS,
    reschedule_payment,
    reschedule_refund,
    settle,
)
from payments.states import PaymentStatus, RefundStatus

log = structlog.get_logger(__name__)

# How many calls one worker has under way at once.
AT_ONCE = 64
# Longer than the longest call (2 s to connect, 8 s to read, for a look-up and a charge).
LEASE = timedelta(seconds=30)
# How long, in seconds, the quick answers are waited for, so that they are recorded together.
_GATHERING = 0.05
# How long slow answers are waited for before new work is looked for.
_LOOKING = 0.25


@dataclass(frozen=True, kw_only=True)
class _Call:
    """A call under way for a row that is claimed; `row` is as it was before the call."""

    row: Payment | Refund
    payment: Payment


class PaymentProcessor:
    """Makes the payments and refunds that are due, with up to AT_ONCE calls under way.

    The calls run on threads that touch no database; claims and outcomes are the caller's thread's,
    many in one transaction. A provider that is slow with one payment does not hold up the others.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="provider")
        self._under_way: dict[Future[Any], _Call] = {}

    @durable
    def work(self) -> int:
        """Begin what is due, and record what has ended; returns how many calls were under way."""
        has_begun = self._begin()
        under_way = len(self._under_way)
        if under_way:
            done, _ = wait(self._under_way, timeout=_GATHERING)
            if not done and not has_begun:
                done, _ = wait(self._under_way, timeout=_LOOKING, return_when=FIRST_COMPLETED)
            self._record(done)
        return under_way

    @durable
    def finish(self) -> None:
        """Wait for the calls under way, and record what became of them.

        One that takes longer than its lease, as where an answer comes byte by byte, does not keep
        the worker, whose task may live for a minute; if it ends later, the next `work` records it.
        """
        done, _ = wait(self._under_way, timeout=LEASE.total_seconds())
        self._record(done)

    def _begin(self) -> bool:
        free = AT_ONCE - len(self._under_way)
        if not free:
            return False
        # Half of what is free, so that neither waits for the other's backlog.
        refunds = _claim_refunds(limit=(free + 1) // 2)
        free -= len(refunds)
        payments = _claim_payments(limit=free) if free else []
        of_refunds = Payment.objects.in_bulk([refund.payment_id for refund in refunds])
        for refund in refunds:
            payment = of_refunds[refund.payment_id]
            call = _Call(row=refund, payment=payment)
            is_first_call = refund.status == RefundStatus.REQUESTED
            self._submit(
                call, call_for_refund, refund, payment=payment, is_first_call=is_first_call
            )
        for payment in payments:
            call = _Call(row=payment, payment=payment)
            is_first_call = payment.status == PaymentStatus.CREATED
            self._submit(call, call_for_payment, payment, is_first_call=is_first_call)
        return bool(refunds or payments)

    def _submit(
        self, call: _Call, function: Callable[..., Any], /, *args: Any, **more: Any
    ) -> None:
        self._under_way[self._threads.submit(function, *args, **more)] = call

    def _record(self, done: set[Future[Any]]) -> None:
        # Taken out first: what cannot be recorded now is claimed again when its lease ends.
        ended = [(self._under_way.pop(future), future) for future in done]
        told, untold = [], []
        for call, future in ended:
            news = None if isinstance(call.row, Refund) else _news(call.row, future)
            if news is not None:
                told.append((call.payment, news))
            else:
                untold.append((call, future))
        # First what is certain, so that nothing else that fails can keep it from being recorded.
        if told:
            _record_charges(told)
        for call, future in untold:
            if isinstance(call.row, Refund):
                _refund_ended(call.row, future, payment=call.payment)
            else:
                _payment_untold(call.row, future.exception())


def _claim_payments(*, limit: int) -> list[Payment]:
    """Up to `limit` payments that are due, as they were; those not yet sent are `processing` now.

    So whoever cancels an order either finds its payment `created`, and nobody will ever be called
    for it, or leaves it to its own.
    """
    claimed = claim_due(
        Payment, lease=LEASE, limit=limit, changes=_processing_if(PaymentStatus.CREATED)
    )
    return [payment for payment in claimed if not _is_worn_out(payment)]


def _claim_refunds(*, limit: int) -> list[Refund]:
    claimed = claim_due(
        Refund, lease=LEASE, limit=limit, changes=_processing_if(RefundStatus.REQUESTED)
    )
    return [refund for refund in claimed if not _is_worn_out(refund)]


def _processing_if(status: PaymentStatus | RefundStatus) -> str:
    return (
        f"status = CASE work.status WHEN '{status.value}' THEN 'processing' ELSE work.status END,"
        " updated_at = statement_timestamp()"
    )


def _is_worn_out(work: Payment | Refund) -> bool:
    """Whether it has had all its attempts, the last of which killed its worker; it is given up."""
    if work.attempts <= MAX_ATTEMPTS:
        return False
    settle(work=work, next_attempt_at=None, last_error="The last attempt came to no end.")
    log.error("work_given_up", kind=work._meta.model_name, id=str(work.pk))
    return True


def _news(payment: Payment, call: Future[ChargeResult]) -> ChargeUpdate | None:
    """What `call` was told of the payment's charge; None if nothing that is certain."""
    error = call.exception()
    if error is None:
        result = call.result()
    elif isinstance(error, GatewayRejected) and payment.status != PaymentStatus.AUTHORIZED:
        result = _declined(payment, error)
    else:
        return None
    return ChargeUpdate(payment_id=payment.id, result=result, actor=_actor(payment))


def _record_charges(told: Sequence[tuple[Payment, ChargeUpdate]]) -> None:
    """Record the news together; what cannot be kept of one payment holds up no other."""
    try:
        record_charges([news for _, news in told])
    except (OperationalError, Unavailable):
        raise
    except Exception as error:  # such as a reference that is too long: whatever a provider may say
        if len(told) > 1:
            for one in told:
                _record_charges([one])
        else:
            reschedule_payment(payment=told[0][0], error=error, actor=told[0][1].actor)


def _payment_untold(payment: Payment, error: BaseException | None) -> None:
    if isinstance(error, GatewayRejected):
        _give_up_settling(payment, error)
    elif error is not None:
        reschedule_payment(payment=payment, error=error, actor=_actor(payment))


def _declined(payment: Payment, refusal: GatewayRejected) -> ChargeResult:
    """What a charge is that the provider would not even try."""
    return ChargeResult(
        status=ChargeStatus.DECLINED,
        provider_reference="",
        amount=payment.amount,
        currency=payment.currency,
        captured_amount=payment.captured_amount,
        refunded_amount=payment.refunded_amount,
        decline_code=refusal.code,
        decline_message=refusal.message,
    )


def _give_up_settling(payment: Payment, refusal: GatewayRejected) -> None:
    """The authorisation stands, but its capture or void is refused: for a person to look at."""
    log.error(
        "settling_refused", payment_id=str(payment.id), requested_action=payment.requested_action
    )
    settle(
        work=payment,
        next_attempt_at=None,
        last_error=str(refusal),
        requested_action=RequestedAction.NONE,
    )


def _refund_ended(refund: Refund, call: Future[RefundResult], *, payment: Payment) -> None:
    actor = _actor(refund)
    error = call.exception()
    if error is None:
        try:
            record_refund(actor=actor, refund_id=refund.id, result=call.result())
        except DataError as refusal:  # such as a reference that is too long
            reschedule_refund(refund=refund, error=refusal)
    elif isinstance(error, GatewayRejected):
        failed = RefundResult(
            status=RefundOutcome.FAILED,
            provider_reference="",
            charge_reference=payment.provider_reference,
            amount=refund.amount,
        )
        record_refund(actor=actor, refund_id=refund.id, result=failed, failure_code=error.code)
    else:
        reschedule_refund(refund=refund, error=error)


def _actor(work: Payment | Refund) -> Actor:
    return system("payments", request_id=f"{work._meta.model_name}-{work.pk}")
