"""Filters of the audit trail."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from oms.api.filters import ApiFilterSet, CreationFilter, TextFilter, UUIDFilter
from oms.audit.queries import entries_about


class ActorFilter(TextFilter):
    """The id of a user, or the e-mail address or name shown in the entry, in any case."""

    def filter(self, qs: QuerySet[Any], value: Any) -> QuerySet[Any]:
        if not value:
            return qs
        try:
            return qs.filter(actor_id=UUID(value))
        except ValueError:
            return qs.filter(actor_label__iexact=value)


class ObjectTypeFilter(TextFilter):
    """The type of the changed object."""

    def filter(self, qs: QuerySet[Any], value: Any) -> QuerySet[Any]:
        return entries_about(qs, object_type=value) if value else qs


class AuditFilters(ApiFilterSet):
    actor = ActorFilter()
    action = TextFilter(field_name="type")
    object_type = ObjectTypeFilter()
    object_id = UUIDFilter()
    request_id = TextFilter(max_length=128)
    created_at__gte = CreationFilter(field_name="occurred_at", lookup_expr="gte")
    created_at__lt = CreationFilter(field_name="occurred_at", lookup_expr="lt")
