"""URLs of the feed, below /api/v1."""

from django.urls import path

from oms.streams.api import AllEvents, OwnEvents

urlpatterns = [
    path("events", OwnEvents.as_view(), name="events"),
    path("admin/events", AllEvents.as_view(), name="admin-events"),
]
