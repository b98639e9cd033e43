"""Routes of exceptions, below /api/v1."""

from __future__ import annotations

from django.urls import path

from oms.exceptions.api.views import ExceptionViewSet

urlpatterns = [
    path("admin/exceptions", ExceptionViewSet.as_view({"get": "list"}), name="admin-exceptions"),
    path(
        "admin/exceptions/<uuid:id>/resolve",
        ExceptionViewSet.as_view({"post": "resolve"}),
        name="admin-exception-resolve",
    ),
]
