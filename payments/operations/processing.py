"""Processes due payments and refunds: claims them, calls the provider, records the outcomes.

A claim commits before the call and its outcome after it, each in its own transaction; none is open
during the call. A worker may die at any point: when its lease expires, the next one looks the
payment up by its key, and sends the same key again if the provider has no such charge.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

from django.db import OperationalError
from django.db.models import prefetch_related_objects
from django.db.models.functions import Now

from oms.core.actor import Actor, system
from oms.core.errors import Unavailable
from oms.db.transactions import durable, transaction
from oms.exceptions.kinds import ExceptionKind
from oms.queue.circuit_breaker import CircuitBreaker
from oms.queue.leases import LEASE, claim_due, release_lease, renew_leases
from payments.gateways.base import (
    ChargeResult,
    ChargeStatus,
    GatewayRejected,
    RefundResult,
)
from payments.gateways.base import RefundStatus as RefundOutcome
from payments.locks import lock_payment
from payments.models import Payment, Refund, RequestedAction
from payments.operations.exceptions import (
    give_up_payment,
    give_up_refund,
    raise_about_payment,
)
from payments.operations.outcomes import ChargeUpdate, record_charges, record_refund
from payments.operations.provider_calls import call_for_payment, call_for_refund
from payments.operations.rescheduling import reschedule_payment, reschedule_refund
from payments.states import PaymentStatus

Work = TypeVar("Work", Payment, Refund)

MAX_CONCURRENT_CALLS = 64
# A call may outlive its lease: 2 s to connect and 8 s to read, for a look-up and for a charge.
_RENEWAL_SECONDS = LEASE.total_seconds() / 4
# After so many calls in a row without a clear answer the provider counts as away.
_AWAY_AFTER = 10
# Seconds to wait for slow responses before polling for new work.
_POLL_SECONDS = 0.25

# Claiming work that was never sent sets its status to `processing`. So cancelling an order either
# finds its payment `created`, and it is never sent, or waits for its outcome.
_MARK_PROCESSING = (
    "status = CASE WHEN work.status IN ('created', 'requested') THEN 'processing'"
    " ELSE work.status END, updated_at = statement_timestamp()"
)


class PaymentProcessor:
    """Makes the payments and refunds that are due, with up to MAX_CONCURRENT_CALLS in flight.

    The calls run on threads that do not use the database; the caller's thread claims work and
    records outcomes, many in one transaction. A slow call does not delay the others.
    """

    # How long fast responses are waited for, so that they are recorded together.
    batch_seconds = 0.05

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(MAX_CONCURRENT_CALLS, thread_name_prefix="provider")
        # The rows are as they were before their claims.
        self._in_flight: dict[Future[Any], Payment | Refund] = {}
        self._renewed_at = time.monotonic()
        # Each of its own: refunds that fail must not keep charges from being made.
        self._breakers = {
            model: CircuitBreaker(failures=_AWAY_AFTER, pause=1.0) for model in (Payment, Refund)
        }

    @durable
    def work(self) -> int:
        """Start due calls and record those that ended; the number of calls that were in flight."""
        self._renew_leases()
        has_started = self._start_due_calls()
        in_flight = len(self._in_flight)
        if in_flight:
            done, _ = wait(self._in_flight, timeout=self.batch_seconds)
            if not done and not has_started:
                done, _ = wait(self._in_flight, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
            self._record(done)
        return in_flight

    @durable
    def finish(self, *, seconds: float = 2.0) -> None:
        """Wait up to `seconds` for the calls in flight, and record their outcomes.

        A call that takes longer does not hold up the worker; if it ends later, the next `work`
        records it.
        """
        self._renew_leases()
        done, _ = wait(self._in_flight, timeout=seconds)
        self._record(done)

    def _renew_leases(self) -> None:
        """Keep the rows in flight, whose calls may take longer than a lease."""
        if time.monotonic() - self._renewed_at < _RENEWAL_SECONDS:
            return
        self._renewed_at = time.monotonic()
        for model in (Payment, Refund):
            rows = [work for work in self._in_flight.values() if isinstance(work, model)]
            renew_leases(model, rows)

    def _start_due_calls(self) -> bool:
        free = MAX_CONCURRENT_CALLS - len(self._in_flight)
        # Half of it at most, so that neither waits for the other's backlog.
        refunds = self._claim(Refund, limit=(free + 1) // 2)
        prefetch_related_objects(refunds, "payment")
        payments = self._claim(Payment, limit=free - len(refunds))
        for refund in refunds:
            self._in_flight[self._threads.submit(call_for_refund, refund)] = refund
        for payment in payments:
            self._in_flight[self._threads.submit(call_for_payment, payment)] = payment
        return bool(refunds or payments)

    def _claim(self, model: type[Work], *, limit: int) -> list[Work]:
        allowed = self._breakers[model].allow(limit)
        if not allowed:
            return []
        return claim_due(model, limit=allowed, changes=_MARK_PROCESSING, give_up=_give_up)

    def _record(self, done: set[Future[Any]]) -> None:
        # Removed first: what cannot be recorded now is claimed again when its lease expires.
        ended = [(self._in_flight.pop(call), call) for call in done]
        # One answer among them is enough.
        for work, call in sorted(ended, key=lambda each: _is_answer(each[1])):
            self._breakers[type(work)].record(is_answered=_is_answer(call))
        updates: list[tuple[Payment, ChargeUpdate]] = []
        without_outcome: list[tuple[Payment, BaseException]] = []
        refunds: list[tuple[Refund, Future[RefundResult]]] = []
        for work, call in ended:
            if isinstance(work, Refund):
                refunds.append((work, call))
            elif result := _charge_result(work, call):
                update = ChargeUpdate(payment_id=work.id, result=result, actor=_actor(work))
                updates.append((work, update))
            elif error := call.exception():
                without_outcome.append((work, error))
        # First what is certain, so that no other failure can keep it from being recorded.
        if updates:
            _record_charges(updates)
        for payment, error in without_outcome:
            _handle_payment_error(payment, error)
        for refund, call in refunds:
            _record_refund(refund, call)


def _give_up(work: Payment | Refund, *, error: str) -> bool:
    if isinstance(work, Payment):
        return give_up_payment(work, error=error, actor=_actor(work))
    return give_up_refund(work, error=error, actor=_actor(work))


def _is_answer(call: Future[Any]) -> bool:
    """Whether the provider has accepted or rejected the call."""
    return call.exception() is None or isinstance(call.exception(), GatewayRejected)


def _charge_result(payment: Payment, call: Future[ChargeResult]) -> ChargeResult | None:
    """The result of `call`; a rejected charge is a declined one. None without a clear outcome."""
    error = call.exception()
    if error is None:
        return call.result()
    if isinstance(error, GatewayRejected) and payment.status != PaymentStatus.AUTHORIZED:
        return ChargeResult(
            status=ChargeStatus.DECLINED,
            provider_reference="",
            amount=payment.amount,
            currency=payment.currency,
            captured_amount=payment.captured_amount,
            refunded_amount=payment.refunded_amount,
            decline_code=error.code,
            decline_message=error.message,
        )
    return None


def _record_charges(updates: Sequence[tuple[Payment, ChargeUpdate]]) -> None:
    """Record the updates together; one that cannot be stored does not hold up the others."""
    try:
        record_charges([update for _, update in updates])
    except (OperationalError, Unavailable):
        raise
    except Exception as error:  # such as a reference that is too long
        if len(updates) > 1:
            for one in updates:
                _record_charges([one])
        else:
            [(payment, update)] = updates
            reschedule_payment(payment=payment, error=error, actor=update.actor)


def _handle_payment_error(payment: Payment, error: BaseException) -> None:
    if not isinstance(error, GatewayRejected):
        reschedule_payment(payment=payment, error=error, actor=_actor(payment))
        return
    _record_rejected(payment, error)


@transaction
def _record_rejected(payment: Payment, error: GatewayRejected) -> None:
    """Still authorized, but its capture or void was rejected: staff must check it."""
    action = payment.requested_action
    current = lock_payment(payment.id)
    if current is None:
        return
    if current.requested_action != action:
        # Another one was requested during the call, such as the void of a cancelled order.
        release_lease(payment, next_attempt_at=Now(), last_error=str(error))
        return
    if not release_lease(
        payment,
        next_attempt_at=None,
        last_error=str(error),
        requested_action=RequestedAction.NONE,
    ):
        return
    raise_about_payment(
        ExceptionKind.CAPTURE_REJECTED,
        f"The provider rejected the {action}: {error}",
        payment_id=payment.id,
        order_id=payment.order_id,
        actor=_actor(payment),
    )


def _record_refund(refund: Refund, call: Future[RefundResult]) -> None:
    error = call.exception()
    if error is None:
        result, code = call.result(), ""
    elif isinstance(error, GatewayRejected):
        result = RefundResult(
            status=RefundOutcome.FAILED,
            provider_reference="",
            charge_reference=refund.payment.provider_reference,
            amount=refund.amount,
        )
        code = error.code
    else:
        reschedule_refund(refund=refund, error=error, actor=_actor(refund))
        return
    try:
        record_refund(actor=_actor(refund), refund_id=refund.id, result=result, failure_code=code)
    except (OperationalError, Unavailable):
        raise
    except Exception as failure:  # such as a reference that is too long
        reschedule_refund(refund=refund, error=failure, actor=_actor(refund))


def _actor(work: Payment | Refund) -> Actor:
    return system("payments", request_id=f"{work._meta.model_name}-{work.pk}")
