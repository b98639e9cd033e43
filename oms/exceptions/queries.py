"""Named reads of exceptions."""

from __future__ import annotations

from django.db.models import QuerySet

from oms.core.actor import Actor
from oms.core.permissions import Permission
from oms.exceptions.kinds import kinds_visible_with
from oms.exceptions.models import ExceptionRecord


def exceptions_visible_to(actor: Actor) -> QuerySet[ExceptionRecord]:
    """The exceptions about what the actor may view, unsorted. Raises PermissionDenied."""
    actor.require(Permission.ORDERS_VIEW)
    return ExceptionRecord.objects.filter(kind__in=kinds_visible_with(actor.held))
