"""What can be repaired without guessing.

Repaired are things that were only given up: trying them again is what would have happened anyway,
and every step of it is idempotent.

- a payment or refund that nobody tries any more is due again; the provider is asked by its key
- an event that a consumer gave up is handed to it again; none of it took effect before

Everything else is left to a person, on purpose. Where balances, statuses or books disagree it is
not known which side is right, and a repair would hide the bug that made them disagree: releasing
the stock of an ended order may release what a parcel already took, and setting a status by its
payments may ship or refund twice. Ledgers and the log are never edited at all.
"""

from __future__ import annotations

import structlog
from django.db.models import Q

from oms.db.transactions import transaction
from oms.events.models import DeadLetter
from oms.events.relay import retry_dead_letter
from payments.models import Payment, Refund
from payments.operations.retrying import retry_now
from payments.states import OPEN, RefundStatus

log = structlog.get_logger(__name__)

_OPEN_REFUNDS = (RefundStatus.REQUESTED, RefundStatus.PROCESSING, RefundStatus.UNKNOWN)


def repair() -> list[str]:
    """Repair what can be; returns a sentence for each repair, which is logged as well."""
    return [*_payments_again(), *_refunds_again(), *_events_again()]


@transaction
def _payments_again() -> list[str]:
    stuck = Payment.objects.filter(Q(status__in=OPEN) | ~Q(wanted=""), next_attempt_at=None)
    done = []
    for payment in stuck.order_by("id"):
        retry_now(work=payment)
        done.append(_note("payment", payment.id, f"{payment.status}, is tried again"))
    return done


@transaction
def _refunds_again() -> list[str]:
    stuck = Refund.objects.filter(status__in=_OPEN_REFUNDS, next_attempt_at=None)
    done = []
    for refund in stuck.order_by("id"):
        retry_now(work=refund)
        done.append(_note("refund", refund.id, f"{refund.status}, is tried again"))
    return done


@transaction
def _events_again() -> list[str]:
    done = []
    for parked in DeadLetter.objects.filter(next_attempt_at=None).order_by("event_id"):
        retry_dead_letter(parked_id=parked.pk)
        done.append(_note("event", parked.event_id, f"is handed to {parked.consumer} again"))
    return done


def _note(kind: str, id: object, what: str) -> str:
    log.info("reconcile_repaired", kind=kind, id=str(id), what=what)
    return f"{kind} {id}: {what}"
