"""The exceptions of events that a consumer failed to handle."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q

from oms.core.actor import system
from oms.db.transactions import transaction_required
from oms.events.models import DeadLetter
from oms.exceptions.kinds import ExceptionKind
from oms.exceptions.operations.recording import (
    NewException,
    raise_exceptions,
    settle_exceptions,
    subject_of,
)


def _subject(letter: DeadLetter) -> str:
    return subject_of("event", f"{letter.event_id}/{letter.consumer}")


@transaction_required
def raise_dead_event(letter: DeadLetter) -> None:
    """The event was given up."""
    order_id = letter.event.data.get("order_id")
    new = NewException(
        kind=ExceptionKind.DEAD_EVENT,
        subject=_subject(letter),
        cause=f"{letter.consumer} failed to handle {letter.event.type}: {letter.last_error}",
        order_id=UUID(order_id) if order_id else None,
    )
    raise_exceptions([new], actor=system(letter.consumer))


@transaction_required
def settle_dead_event(letter: DeadLetter) -> None:
    """The event was handled."""
    settle_exceptions(
        [ExceptionKind.DEAD_EVENT],
        about=Q(subject=_subject(letter)),
        actor=system(letter.consumer),
    )
