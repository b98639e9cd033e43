"""A customer's own notifications."""

from __future__ import annotations

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from notifications.api.filters import NotificationFilters
from notifications.api.serializers import EXAMPLE, READ_EXAMPLE, NotificationOutput
from notifications.operations.reading import mark_read
from notifications.queries import notifications_of
from oms.api.documentation import documented
from oms.api.permissions import IsCustomer
from oms.api.views import ApiView, ApiViewSet
from oms.core import clock


class Notifications(ApiViewSet):
    permission_classes = [IsCustomer]
    filterset_class = NotificationFilters

    @documented(
        summary="List your notifications",
        description="Your in-app notifications, newest first.",
        response=NotificationOutput,
        response_example=EXAMPLE,
    )
    def list(self, request: Request) -> Response:
        return self.page(notifications_of(self.actor), NotificationOutput)


class NotificationRead(ApiView):
    permission_classes = [IsCustomer]

    @documented(
        summary="Mark a notification as read",
        description="Idempotent: `read_at` keeps the time of the first call.",
        response=NotificationOutput,
        response_example=READ_EXAMPLE,
    )
    def put(self, request: Request, id: UUID) -> Response:
        read = mark_read(actor=self.actor, notification_id=self.path_id(), at=clock.now())
        return Response(NotificationOutput(read).data)
