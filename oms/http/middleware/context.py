"""What is known of a request from its first line on: its id, its trace, its address."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponseBase
from structlog.contextvars import bound_contextvars

from oms.core.ids import new_id
from oms.http.addresses import client_address
from oms.http.identity import known_identity

log = structlog.get_logger("oms.http.requests")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}", flags=re.ASCII)
# W3C Trace Context: version 00 or a later one, with whatever that adds at the end.
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?P<trace>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})-[0-9a-f]{2}(-.*)?"
)


class RequestContextMiddleware:
    """Gives the request `request_id` and `client_address`, and writes its one line in the log.

    The line names the path without its query, for queries hold what people searched for. An
    X-Request-ID that is not sane is replaced, never refused.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        begun = time.perf_counter()
        request_id = sane_request_id(request.headers.get("X-Request-ID", ""))
        request.request_id = request_id  # type: ignore[attr-defined]  # ours
        request.client_address = client_address(request)  # type: ignore[attr-defined]  # ours
        with bound_contextvars(request_id=request_id, **_trace(request)):
            response = self.get_response(request)
            response["X-Request-ID"] = request_id
            identity, match = known_identity(request), request.resolver_match
            log.info(
                "request",
                method=request.method,
                path=request.path,
                route=match.route if match else None,
                status=response.status_code,
                duration_ms=round((time.perf_counter() - begun) * 1000, 1),
                user_id=str(identity.user_id) if identity and identity.user_id else None,
            )
        return response


def sane_request_id(offered: str) -> str:
    """The id that the client offers, if it is sane; else a new one."""
    return offered if _REQUEST_ID.fullmatch(offered) else str(new_id())


def _trace(request: HttpRequest) -> dict[str, str]:
    match = _TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
    if not match or set(match["trace"]) == {"0"} or set(match["parent"]) == {"0"}:
        return {}
    return {"trace_id": match["trace"], "parent_span_id": match["parent"]}
