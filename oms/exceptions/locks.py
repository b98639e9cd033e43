"""The only place that locks exceptions, which come last in the order of locks."""

from __future__ import annotations

from uuid import UUID

from oms.db.transactions import transaction_required
from oms.exceptions.models import ExceptionRecord


@transaction_required
def lock_exception(exception_id: UUID) -> ExceptionRecord | None:
    """The exception, locked; None if there is none."""
    return ExceptionRecord.objects.select_for_update(no_key=True).filter(pk=exception_id).first()
