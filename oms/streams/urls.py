"""URLs of the feed and of streams, below /api/v1."""

from django.urls import path

from oms.streams.api import AllEvents, OwnEvents, Stream, Tickets

urlpatterns = [
    path("events", OwnEvents.as_view(), name="events"),
    path("admin/events", AllEvents.as_view(), name="admin-events"),
    path("stream", Stream.as_view(), name="stream"),
    path("stream/tickets", Tickets.as_view(), name="stream-tickets"),
]
