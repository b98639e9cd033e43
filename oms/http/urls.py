"""URLs of health checks, metrics and the API's documentation."""

from __future__ import annotations

from csp.decorators import csp
from django.urls import path
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerSplitView

from oms.http.health import health, ready
from oms.http.methods import read_only
from oms.http.metrics import metrics
from oms.http.problem_types import problem_types
from oms.http.schema import SchemaView

# ReDoc makes its styles at run time; both pages fetch the document from here.
_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": ["'self'", "'unsafe-inline'"],
    "img-src": ["'self'", "data:"],
    "font-src": ["'self'", "data:"],
    "connect-src": "'self'",
    "worker-src": "blob:",
    "form-action": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
_swagger = SpectacularSwaggerSplitView.as_view(url_name="schema")
_redoc = SpectacularRedocView.as_view(url_name="schema", template_name="api/redoc.html")

urlpatterns = [
    path("health", read_only(health), name="health"),
    path("health/ready", read_only(ready), name="ready"),
    path("metrics", read_only(metrics), name="metrics"),
    path("api/schema", read_only(SchemaView.as_view()), name="schema"),
    path("api/docs", read_only(csp(_POLICY)(_swagger)), name="docs"),
    path("api/docs/problems", read_only(csp(_POLICY)(problem_types)), name="problem-types"),
    path("api/redoc", read_only(csp(_POLICY)(_redoc)), name="redoc"),
]
