"""URLs of notifications, under /api/v1."""

from __future__ import annotations

from django.urls import path

from notifications.api.views import NotificationRead, Notifications

urlpatterns = [
    path("notifications", Notifications.as_view({"get": "list"}), name="notifications"),
    path("notifications/<uuid:id>/read", NotificationRead.as_view(), name="notification-read"),
]
