"""The Idempotency-Key header, and the one transaction that it needs."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from oms.http.headers import DEADLINE, InvalidHeader
from oms.http.identity import identify
from oms.http.middleware.problems import answering_problems
from oms.http.operations.idempotency import (
    HEADER,
    KeyedCall,
    StoredAnswer,
    is_key,
    keyed_call,
    lock_key,
    store_answers,
    stored_answer,
)
from oms.http.queries import is_dry_run
from oms.http.transactions import in_one_transaction, in_savepoint

_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def accepts_key(method: str, path: str) -> bool:
    """Whether calls of `method` on `path` are made idempotent by a key.

    Those that issue or revoke tokens are not: their answers are secrets, which must not be stored,
    and a refused refresh token must have its effect even though the call is refused.
    """
    return (
        method in _METHODS
        and path.startswith("/api/v1/")
        and not path.startswith(settings.IDEMPOTENCY_EXEMPT)
    )


class IdempotencyMiddleware:
    """Runs a call with a key at most once, and repeats its answer afterwards.

    A call that is refused (4xx) has no effect and keeps its answer. 401, 412, 429 and 5xx are not
    kept, so such a call can be tried again under the same key. A dry run uses up no key.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    @answering_problems
    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        key = request.headers.get(HEADER)
        takes_key = accepts_key(request.method or "", request.path) and not is_dry_run(request.GET)
        if key is not None and takes_key:
            if not is_key(key):
                raise InvalidHeader(HEADER, "1 to 255 visible ASCII characters.")
            # The view rejects a call with invalid credentials.
            if identify(request).error is None:
                call = _call(request, key)
                return in_one_transaction(
                    request=request, work=lambda: self._answer_once(request, call)
                )
        if DEADLINE in request.headers:
            return in_one_transaction(request=request, work=lambda: self.get_response(request))
        return self.get_response(request)

    def _answer_once(self, request: HttpRequest, call: KeyedCall) -> HttpResponseBase:
        earlier = lock_key(call=call)
        if earlier is not None:
            return _replay(earlier)
        response = in_savepoint(request=request, work=lambda: self.get_response(request))
        answer = stored_answer(
            status=response.status_code,
            headers=response.headers,
            body=response.content if isinstance(response, HttpResponse) else b"",
        )
        if not answer.is_kept:
            transaction.set_rollback(True)
        elif isinstance(response, HttpResponse):
            store_answers([(call, answer)])
        return response


def _call(request: HttpRequest, key: str) -> KeyedCall:
    return keyed_call(
        key,
        user_id=identify(request).user_id,
        address=getattr(request, "client_address", None),
        method=request.method or "",
        path=request.path,
        query=request.META.get("QUERY_STRING", "").encode(),
        body=request.body,
    )


def _replay(answer: StoredAnswer) -> HttpResponse:
    response = HttpResponse(answer.body, status=answer.status)
    del response["Content-Type"]
    for name, value in answer.replayed_headers.items():
        response[name] = value
    return response
