"""Raises exceptions where they are learnt of, and settles them where they are mended."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q

from oms.core import clock
from oms.core.actor import Actor
from oms.core.ids import new_id
from oms.db.pipeline import execute
from oms.db.transactions import transaction_required
from oms.events.publishing import publish_all
from oms.exceptions.events import ExceptionRaised, ExceptionResolved
from oms.exceptions.kinds import ExceptionKind
from oms.exceptions.models import ExceptionRecord

_CAUSE_LENGTH = 500

# Sorted, so that two transactions do not wait for each other in a circle. One that is open keeps
# its time and gets the newest cause.
_RAISE = """
    INSERT INTO exceptions_exceptionrecord
        (id, kind, subject, cause, since, order_id, payment_id, resolved_by, note)
    SELECT id, kind, subject, cause, %s, order_id, payment_id, '', ''
    FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::uuid[], %s::uuid[])
        AS new (id, kind, subject, cause, order_id, payment_id)
    ORDER BY kind, subject
    ON CONFLICT (kind, subject) WHERE resolved_at IS NULL
        DO UPDATE SET cause = excluded.cause
    RETURNING id
"""


@dataclass(frozen=True, kw_only=True)
class NewException:
    """What needs a person. `subject` is the type and id of the object, such as `subject_of` makes.

    `cause` is a sentence for staff.
    """

    kind: ExceptionKind
    subject: str
    cause: str
    order_id: UUID | None = None
    payment_id: UUID | None = None

    def __post_init__(self) -> None:
        # Some of the text is of others, and PostgreSQL stores no NUL.
        object.__setattr__(self, "cause", self.cause.replace("\x00", "")[:_CAUSE_LENGTH])


def subject_of(object_type: str, id: UUID | str) -> str:
    """The subject of an exception about that object."""
    return f"{object_type}:{id}"


@transaction_required
def raise_exceptions(new: Sequence[NewException], *, actor: Actor) -> None:
    """Open the exceptions; those that are open already get the new cause. One statement."""
    by_key = {(each.kind, each.subject): each for each in new}
    if not by_key:
        return
    rows = [(new_id(), each) for each in by_key.values()]
    now = clock.now()
    inserted = execute(
        _RAISE,
        [
            now,
            [id for id, _ in rows],
            [each.kind.value for _, each in rows],
            [each.subject for _, each in rows],
            [each.cause for _, each in rows],
            [each.order_id for _, each in rows],
            [each.payment_id for _, each in rows],
        ],
    ).rows()
    opened = {id for (id,) in inserted}
    publish_all(
        [
            (
                ExceptionRaised(
                    exception_id=id,
                    kind=each.kind.value,
                    subject=each.subject,
                    cause=each.cause,
                    order_id=each.order_id,
                    payment_id=each.payment_id,
                ),
                actor,
            )
            for id, each in rows
            if id in opened
        ],
        at=now,
    )


@transaction_required
def settle_exceptions(kinds: Collection[ExceptionKind], *, about: Q, actor: Actor) -> int:
    """Resolve the open exceptions of these kinds that `about` selects, such as by `payment_id`.

    Returns how many; one statement if there are none.
    """
    found = ExceptionRecord.objects.filter(about, kind__in=kinds, resolved_at=None)
    return resolve(found.select_for_update(no_key=True).order_by("id"), actor=actor, note="")


@transaction_required
def resolve(exceptions: Iterable[ExceptionRecord], *, actor: Actor, note: str) -> int:
    """Resolve the locked exceptions, and record who did; returns how many."""
    now = clock.now()
    rows = list(exceptions)
    for row in rows:
        row.resolved_at, row.resolved_by, row.note = now, actor.label, note
    if rows:
        ExceptionRecord.objects.bulk_update(rows, ["resolved_at", "resolved_by", "note"])
    publish_all(
        [
            (
                ExceptionResolved(
                    exception_id=row.id,
                    kind=row.kind,
                    subject=row.subject,
                    note=note,
                    order_id=row.order_id,
                    payment_id=row.payment_id,
                ),
                actor,
            )
            for row in rows
        ],
        at=now,
    )
    return len(rows)
