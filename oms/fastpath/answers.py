"""What all answers of the fast path have: the middleware's headers, a log line, metrics."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cache
from uuid import UUID

from oms.api.handlers import ApiAnswer, ApiCall
from oms.fastpath.calls import FastPathCall
from oms.fastpath.middleware import is_accepted, middleware_headers
from oms.fastpath.requests import FastPathRequest, Message
from oms.http.access_log import AnsweredRequest, record_requests
from oms.http.health import HEALTHY, HEALTHY_HEADERS
from oms.http.middleware.context import sane_request_id
from oms.http.problems import METHODS, Problem, is_api_path

# None is a call that is left to Django.
Answers = list[ApiAnswer | None]

_HEALTH = "/health"
# A problem that no view has answered has the headers of this route; there is no end of paths.
_API = "/api/v1/orders"


def complete(answer: ApiAnswer, *, call: FastPathCall, limits: Mapping[str, str]) -> None:
    """Add the headers that every answer of the route has."""
    answer.headers = {
        **middleware_headers(call.request, path=call.route.path, has_etag="ETag" in answer.headers),
        **answer.headers,
        **limits,
        "X-Request-ID": call.request_id,
    }
    if answer.status not in (204, 304):  # RFC 9110, section 8.6
        answer.headers["Content-Length"] = str(len(answer.body))


def health_answer(request: FastPathRequest) -> ApiAnswer | None:
    """The answer of /health, which needs no thread; None for what is left to Django."""
    if (
        request.method not in ("GET", "HEAD")
        or request.query
        or not is_accepted(request, path=_HEALTH)
    ):
        return None
    answer = ApiAnswer(body=HEALTHY, headers=dict(HEALTHY_HEADERS))
    complete_alone(request, answer, request_id=request_id_of(request), path=_HEALTH, name="health")
    if request.method == "HEAD":
        answer.body = b""
    return answer


def problem_answer(
    request: FastPathRequest, problem: Problem, *, name: str | None = None
) -> ApiAnswer:
    """The answer to a request that Django does not get to, or is too slow to answer.

    `name` is that of the route, if it is known.
    """
    request_id = request_id_of(request)
    if is_api_path(request.path):
        call = ApiCall(name="", path=request.path, request_id=request_id)
        answer = call.problem(problem)
    else:
        answer = ApiAnswer(
            status=problem.status,
            body=problem.detail.encode(),
            headers={
                "Content-Type": "text/plain; charset=utf-8",
                "Cache-Control": "no-store",
                **problem.headers,
            },
        )
    complete_alone(request, answer, request_id=request_id, path=_API, name=name)
    return answer


def start_of(answer: ApiAnswer) -> Message:
    """The message with which the answer begins."""
    headers = [(_in_bytes(name), value.encode("latin-1")) for name, value in answer.headers.items()]
    return {"type": "http.response.start", "status": answer.status, "headers": headers}


# There are a few dozen.
@cache
def _in_bytes(name: str) -> bytes:
    return name.lower().encode("latin-1")


def request_id_of(request: FastPathRequest) -> str:
    """The id of the request: the client's, or a new one at each call."""
    return sane_request_id(request.headers.get("x-request-id", ""))


def complete_alone(
    request: FastPathRequest,
    answer: ApiAnswer,
    *,
    request_id: str,
    path: str,
    name: str | None,
    user_id: UUID | None = None,
    is_stream: bool = False,
) -> None:
    """Add the headers that every answer of `path` has, log the answer and count it.

    `name` is that of the route; the length of a stream is not known.
    """
    length = {} if is_stream else {"Content-Length": str(len(answer.body))}
    answer.headers = {
        **middleware_headers(request, path=path, has_etag=False),
        **answer.headers,
        "X-Request-ID": request_id,
        **length,
    }
    one = AnsweredRequest(
        method=request.method if request.method in METHODS else "<invalid method>",
        path=request.path,
        scheme=request.scheme,
        route=name,
        view=name,
        status=answer.status,
        seconds=time.monotonic() - request.arrived,
        request_id=request_id,
        user_id=user_id,
    )
    record_requests([one])


def record(calls: Sequence[FastPathCall], answers: Answers) -> None:
    """Log and count the calls that were answered. Never fails."""
    now = time.perf_counter()
    requests = [
        AnsweredRequest(
            method=call.request.method,
            path=call.path,
            scheme=call.request.scheme,
            route=call.route.pattern,
            view=call.route.view_name,
            status=one.status,
            seconds=now - call.begun,
            request_id=call.request_id,
            user_id=None if call.claims is None else call.claims.user_id,
        )
        for call, one in zip(calls, answers, strict=True)
        if one is not None
    ]
    record_requests(requests)


def failed_answer(call: FastPathCall, problem: Problem) -> ApiAnswer:
    """The answer to a call whose batch has failed as a whole, with all of its headers."""
    answer = call.problem(problem)
    complete(answer, call=call, limits={})
    record([call], [answer])
    return answer
