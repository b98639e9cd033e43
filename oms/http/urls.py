"""URLs of health checks, metrics and the API's documentation."""

from __future__ import annotations

from django.urls import path
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerView

from oms.http.health import health, ready
from oms.http.methods import read_only
from oms.http.metrics import metrics
from oms.http.problem_types import problem_types
from oms.http.schema import SchemaView

_swagger = SpectacularSwaggerView.as_view(url_name="schema")
_redoc = SpectacularRedocView.as_view(url_name="schema", template_name="api/redoc.html")

urlpatterns = [
    path("health", read_only(health), name="health"),
    path("health/ready", read_only(ready), name="ready"),
    path("metrics", read_only(metrics), name="metrics"),
    path("api/schema", read_only(SchemaView.as_view()), name="schema"),
    path("api/docs", read_only(_swagger), name="docs"),
    path("api/docs/problems", read_only(problem_types), name="problem-types"),
    path("api/redoc", read_only(_redoc), name="redoc"),
]
