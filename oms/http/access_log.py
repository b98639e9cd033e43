"""One log line and the metrics of each answered request, for both fronts."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
import structlog
from django.conf import settings
from prometheus_client import Counter as Metric
from prometheus_client import Histogram

_LOGGER = "oms.http.requests"
_NO_VIEW = "<unnamed view>"
log = structlog.get_logger(_LOGGER)

_REQUESTS = Metric(
    "django_http_requests_total_by_view_transport_method",
    "Count of requests by view, transport, method.",
    ["view", "transport", "method"],
)
_RESPONSES = Metric(
    "django_http_responses_total_by_status_view_method",
    "Count of responses by status, view, method.",
    ["status", "view", "method"],
)
_LATENCY = Histogram(
    "django_http_requests_latency_seconds_by_view_method",
    "Histogram of request processing time labelled by view.",
    ["view", "method"],
)


@dataclass(kw_only=True, slots=True)
class AnsweredRequest:
    """An answered request: `route` and `view` are the URLconf's, None if nothing matched."""

    method: str
    path: str
    scheme: str
    route: str | None
    view: str | None
    status: int
    seconds: float
    request_id: str
    user_id: UUID | None
    # Further members of the log line, such as the trace.
    context: Mapping[str, str] = field(default_factory=dict)


def record_requests(requests: Sequence[AnsweredRequest]) -> None:
    """Log and count the requests; the lines of a batch are written at once. Never fails.

    The log line has the path without its query, which holds what people searched for.
    """
    try:
        _record(requests)
    except Exception:  # such as a log that cannot be written to: the requests were answered
        log.exception("requests_not_recorded")


def _record(requests: Sequence[AnsweredRequest]) -> None:
    # Each step of a counter writes to a file that all processes share.
    answered = Counter((one.status, one.view, one.scheme, one.method) for one in requests)
    for (status, view, scheme, method), number in answered.items():
        _responses(str(int(status)), view or _NO_VIEW, method).inc(number)
        _requests(view or _NO_VIEW, scheme, method).inc(number)
    for request in requests:
        _latency(request.view or _NO_VIEW, request.method).observe(request.seconds)
    write(map(_line, requests))


def write(lines: Iterable[dict[str, Any]], *, event: str = "request") -> None:
    """Write the lines to the log, each as that event.

    As JSON they go past the standard library's logging, which would cost a tenth of a request.
    """
    if not logging.getLogger(_LOGGER).isEnabledFor(logging.INFO):
        return
    if settings.LOG_FORMAT == "json":
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        rest = {"event": event, "level": "info", "logger": _LOGGER, "timestamp": now}
        sys.stderr.buffer.write(
            b"".join(msgspec.json.encode({**line, **rest}) + b"\n" for line in lines)
        )
        sys.stderr.flush()
    else:
        for line in lines:
            log.info(event, **line)


def _line(request: AnsweredRequest) -> dict[str, Any]:
    return {
        "method": request.method,
        "path": request.path,
        "route": request.route,
        "status": int(request.status),
        "duration_ms": round(request.seconds * 1000, 1),
        "user_id": None if request.user_id is None else str(request.user_id),
        "request_id": request.request_id,
        **request.context,
    }


@cache
def _responses(status: str, view: str, method: str) -> Any:
    return _RESPONSES.labels(status=status, view=view, method=method)


@cache
def _requests(view: str, transport: str, method: str) -> Any:
    return _REQUESTS.labels(view=view, transport=transport, method=method)


@cache
def _latency(view: str, method: str) -> Any:
    return _LATENCY.labels(view=view, method=method)
