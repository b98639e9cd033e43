"""Exceptions that a person resolves."""

from __future__ import annotations

from uuid import UUID

from oms.core.actor import Actor
from oms.core.errors import NotFound
from oms.core.permissions import Permission
from oms.db.transactions import transaction
from oms.exceptions.errors import ExceptionAlreadyResolved
from oms.exceptions.kinds import rules_of
from oms.exceptions.locks import lock_exception
from oms.exceptions.models import ExceptionRecord
from oms.exceptions.operations.recording import resolve


@transaction
def resolve_exception(*, actor: Actor, exception_id: UUID, note: str = "") -> ExceptionRecord:
    """Close an exception by hand; what it is about stays as it is.

    Raises PermissionDenied, NotFound and ExceptionAlreadyResolved.
    """
    actor.require(Permission.ORDERS_VIEW)
    exception = lock_exception(exception_id)
    if exception is None:
        raise NotFound
    actor.require(rules_of(exception.kind).permission)
    if not exception.is_open:
        raise ExceptionAlreadyResolved(resolved_at=exception.resolved_at)
    resolve([exception], actor=actor, note=note)
    return exception
