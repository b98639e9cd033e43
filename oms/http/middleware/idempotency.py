"""The Idempotency-Key header, and the one transaction that it needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from oms.core.deadline import time_left
from oms.http.addresses import address_group
from oms.http.headers import InvalidHeader
from oms.http.identity import identify
from oms.http.middleware.problems import answering_problems
from oms.http.operations.idempotency import Answer, Call, begin_call, call_under, finish_call
from oms.http.transactions import in_one_transaction, in_savepoint

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_KEPT_HEADERS = ("Allow", "Content-Type", "ETag", "Location")


def accepts_key(method: str, path: str) -> bool:
    """Whether calls of `method` on `path` are made idempotent by a key.

    Those that give out or take back tokens are not: their answers are secrets, which must not be
    stored, and a refused token must be dealt with even though the call is refused.
    """
    return (
        method in _METHODS
        and path.startswith("/api/v1/")
        and not path.startswith(settings.IDEMPOTENCY_EXEMPT)
    )


def is_key(text: str) -> bool:
    """Whether `text` can be an Idempotency-Key: 1 to 255 visible ASCII characters."""
    return _KEY.fullmatch(text) is not None


class IdempotencyMiddleware:
    """Runs a call with a key at most once, and repeats its answer afterwards.

    A call that is refused (4xx) has no effect and keeps its answer. 401, 429 and 5xx are not kept,
    so such a call can be tried again under the same key.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    @answering_problems
    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        key = request.headers.get(HEADER)
        if key is not None and accepts_key(request.method or "", request.path):
            if not is_key(key):
                raise InvalidHeader(HEADER, "1 to 255 visible ASCII characters.")
            # A call with bad credentials is nobody's, and is refused by the view.
            if identify(request).error is None:
                call = _call(request, key)
                return in_one_transaction(
                    request=request, work=lambda: self._answer_once(request, call)
                )
        if time_left() is not None:
            return in_one_transaction(request=request, work=lambda: self.get_response(request))
        return self.get_response(request)

    def _answer_once(self, request: HttpRequest, call: Call) -> HttpResponseBase:
        earlier = begin_call(call=call)
        if earlier is not None:
            return _replay(earlier)
        response = in_savepoint(request=request, work=lambda: self.get_response(request))
        if response.status_code in (401, 429) or response.status_code >= 500:
            transaction.set_rollback(True)
        elif isinstance(response, HttpResponse):
            answer = Answer(
                status=response.status_code,
                headers=kept_headers(response.headers),
                body=response.content,
            )
            finish_call(call=call, answer=answer)
        return response


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Those of an answer's headers that are repeated with it."""
    return {name: headers[name] for name in _KEPT_HEADERS if name in headers}


def _call(request: HttpRequest, key: str) -> Call:
    user_id = identify(request).user_id
    address = address_group(getattr(request, "client_address", None))
    return call_under(
        key,
        who=f"user {user_id}" if user_id else f"anonymous {address}",
        method=request.method or "",
        path=request.path,
        query=request.META.get("QUERY_STRING", "").encode(),
        body=request.body,
    )


def _replay(answer: Answer) -> HttpResponse:
    response = HttpResponse(answer.body, status=answer.status)
    del response["Content-Type"]
    for name, value in answer.headers.items():
        response[name] = value
    response[REPLAYED] = "true"
    return response
