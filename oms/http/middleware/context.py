"""The context of a request: its id, its trace, its address; and the record of its answer."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from structlog.contextvars import bound_contextvars

from oms.core.ids import new_id
from oms.http.access_log import AnsweredRequest, record_requests
from oms.http.addresses import client_address
from oms.http.identity import known_identity
from oms.http.problems import METHODS

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}", flags=re.ASCII)
# W3C Trace Context: version 00, or a later one with additions at the end.
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?P<trace>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})-[0-9a-f]{2}(-.*)?"
)


class RequestContextMiddleware:
    """Gives the request `request_id` and `client_address`, and logs and counts its answer.

    An invalid X-Request-ID is replaced, never refused.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        begun = time.perf_counter()
        request_id = sane_request_id(request.headers.get("X-Request-ID", ""))
        request.request_id = request_id  # type: ignore[attr-defined]  # ours
        request.client_address = client_address(request)  # type: ignore[attr-defined]  # ours
        trace = _trace(request)
        with bound_contextvars(request_id=request_id, **trace):
            response = self.get_response(request)
        response["X-Request-ID"] = request_id
        identity, match = known_identity(request), request.resolver_match
        record_requests(
            [
                AnsweredRequest(
                    # Of unknown methods there may be any number.
                    method=request.method if request.method in METHODS else "<invalid method>",
                    path=request.path,
                    scheme=request.scheme or "",
                    route=match.route if match else None,
                    view=match.view_name if match else None,
                    status=response.status_code,
                    seconds=time.perf_counter() - begun,
                    request_id=request_id,
                    user_id=identity.user_id if identity else None,
                    context=trace,
                )
            ]
        )
        return response


def sane_request_id(offered: str) -> str:
    """The client's id if it is valid; else a new one."""
    return offered if _REQUEST_ID.fullmatch(offered) else str(new_id())


def _trace(request: HttpRequest) -> dict[str, str]:
    match = _TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
    if not match or set(match["trace"]) == {"0"} or set(match["parent"]) == {"0"}:
        return {}
    return {"trace_id": match["trace"], "parent_span_id": match["parent"]}
