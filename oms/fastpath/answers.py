"""What all answers of the fast path have: the middleware's headers, a log line, metrics."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from oms.api.handlers import ApiAnswer
from oms.fastpath.calls import FastPathCall
from oms.fastpath.middleware import middleware_headers
from oms.http.access_log import AnsweredRequest, record_requests
from oms.http.problems import Problem

# None is a call that is left to Django.
Answers = list[ApiAnswer | None]


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
