"""Serializers of notifications."""

from __future__ import annotations

from rest_framework import serializers

from notifications.models import Kind
from oms.api.fields import ChoiceField, InstantField, UUIDField
from oms.api.serializers import OutputSerializer


class NotificationOutput(OutputSerializer):
    """An in-app notification."""

    id = UUIDField()
    kind = ChoiceField(choices=Kind.choices)
    subject = serializers.CharField()
    body = serializers.CharField(help_text="Plain text, one line per paragraph.")
    order_id = UUIDField(allow_null=True)
    read_at = InstantField(allow_null=True)
    created_at = InstantField()


EXAMPLE = {
    "id": "019aa2f4-7c1e-7d52-9b0a-3c5f6e8d1a27",
    "kind": "order_shipped",
    "subject": "Order 20261121-7K3M9Q is on its way",
    "body": "2 items from your order have shipped. This completes your order.\n"
    "Tracking: DHL 00340434161094015902",
    "order_id": "019aa2f4-6b0d-7c41-8a9f-2b4e5d7c0f16",
    "read_at": None,
    "created_at": "2026-11-21T09:30:00.123456Z",
}
READ_EXAMPLE = {**EXAMPLE, "read_at": "2026-11-21T11:05:12.654321Z"}
