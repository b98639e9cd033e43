"""The API of the audit trail."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from oms.api.documentation import documented
from oms.api.permissions import IsStaff
from oms.api.views import ApiView
from oms.audit.api.filters import AuditFilters
from oms.audit.api.serializers import AuditEntryOutput
from oms.audit.queries import audit_entries


class AuditView(ApiView):
    permission_classes = [IsStaff]
    filterset_class = AuditFilters
    paged_actions = ("get",)

    @documented(
        summary="List audit entries",
        description="Who changed what, when, and from where; newest first.",
        response=AuditEntryOutput,
        response_example={
            "id": "019aa2f4-8c11-7b63-a1f0-6d2c9e4b7a58",
            "actor": "sam@example.com",
            "actor_kind": "staff",
            "actor_id": "019aa2f0-11d2-7c05-8f3e-0b7a5d9c2e41",
            "action": "product.changed",
            "object_type": "product",
            "object_id": "019aa2f4-7c1e-7d52-9b0a-3c5f6e8d1a27",
            "changes": {"price": ["129.90", "119.90"]},
            "request_id": "019aa2f4-9d0b-7a11-8e44-5b2f0c7d9e63",
            "ip": "203.0.113.7",
            "created_at": "2026-11-21T09:30:00.123456Z",
        },
    )
    def get(self, request: Request) -> Response:
        return self.page(audit_entries(actor=self.actor), AuditEntryOutput)
