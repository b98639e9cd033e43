"""Output of the audit trail."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from oms.api.serializers import OutputSerializer
from oms.events.models import Event


class AuditEntryOutput(OutputSerializer):
    id = serializers.UUIDField()
    actor = serializers.CharField(
        source="actor_label", help_text="An e-mail address, or a part of the system."
    )
    actor_kind = serializers.CharField(help_text="`anonymous`, `customer`, `staff` or `system`.")
    actor_id = serializers.UUIDField(allow_null=True, help_text="The user, if there is one.")
    action = serializers.CharField(source="type", help_text="Such as `order.placed`.")
    object_type = serializers.CharField()
    object_id = serializers.UUIDField()
    changes = serializers.SerializerMethodField(
        help_text="Each changed field as [old value, new value], or else the data of the event."
    )
    request_id = serializers.CharField(help_text="Empty if no request caused it.")
    ip = serializers.IPAddressField(allow_null=True)
    created_at = serializers.DateTimeField(source="occurred_at")

    @extend_schema_field({"type": "object", "additionalProperties": True})
    def get_changes(self, event: Event) -> dict[str, Any]:
        changes: dict[str, Any] = event.data.get("changes", event.data)
        return changes
