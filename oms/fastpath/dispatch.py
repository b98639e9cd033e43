"""The lane: which requests it takes, and how it answers a batch of them.

Nothing here waits or knows of the event loop, so the tests of the API run through it as they run
through Django.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache, partial
from io import BytesIO
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.common import CommonMiddleware
from django.middleware.locale import LocaleMiddleware
from django.middleware.security import SecurityMiddleware
from django.utils import translation

from inventory.queries import CATALOGUE
from oms.api.decoders import Decoder, compiled
from oms.fastpath import orders, placing, products
from oms.fastpath.access_log import tell
from oms.fastpath.list_queries import ASKED
from oms.fastpath.routes import LISTS, PLACES, PUBLIC, object_at
from oms.fastpath.types import FastPathAnswer, FastPathCall, FastPathRequest
from oms.http.addresses import address_behind, address_group
from oms.http.middleware.context import sane_request_id
from oms.http.middleware.idempotency import HEADER, is_key
from oms.http.middleware.problems import ProblemMiddleware
from oms.http.operations.idempotency import call_under
from oms.http.rate_limits import (
    Counted,
    Limit,
    count,
    count_and_ask,
    rate_limit_headers,
    rate_limit_problem,
    take_back,
)
from oms.users.access_tokens import AccessClaims, claims_of
from orders.api.inputs import BulkOrderInput, OrderInput

log = structlog.get_logger(__name__)

# Headers that ask for something which only Django's way knows.
_UNUSUAL = frozenset(
    {
        "content-encoding",
        "cookie",  # it may name a language
        "if-match",
        "traceparent",
        "transfer-encoding",
        "x-request-timeout-ms",
    }
)
_KEY_HEADER = HEADER.lower()
_ACCEPTED = frozenset({"*/*", "application/json", "application/json, */*"})
_JSON = frozenset({"application/json", "application/json; charset=utf-8"})
_LONGEST = 500
# The middleware whose headers are the same for all answers of a route.
_LAYERS = (
    ProblemMiddleware,
    SecurityMiddleware,
    LocaleMiddleware,
    CommonMiddleware,
    XFrameOptionsMiddleware,
)

Work = Callable[[Sequence[FastPathCall]], list[FastPathAnswer | None]]


# How a batch of calls of each action is worked off.
WORK: Mapping[str, Work] = {
    "create": placing.place,
    "create_many": placing.place,
    "retrieve": orders.read,
    "status": orders.read,
    "orders": orders.read,
    "all_orders": orders.read,
    "products": products.browse,
    "product": products.browse,
}


def accept(request: FastPathRequest) -> FastPathCall | None:
    """The call that `request` is; None if the lane leaves it to Django.

    It leaves whatever is not in good order, and never says why: Django does.
    """
    begun = time.perf_counter()
    headers = request.headers
    if not is_usual(request):
        return None
    action, data = _asked(request)
    if data is None:
        return None
    scheme, _, token = headers.get("authorization", "").partition(" ")
    caller = claims_of(token) if scheme == "Bearer" else None
    if caller is None and ("authorization" in headers or action not in PUBLIC):
        return None
    idempotent = None
    key = headers.get(_KEY_HEADER) if request.method == "POST" else None
    if key is not None and caller is not None:
        if not is_key(key):
            return None
        idempotent = call_under(
            key,
            who=f"user {caller.user_id}",
            method=request.method,
            path=request.path,
            query=request.query,
            body=request.body,
        )
    address = address_behind(
        request.remote_address,
        forwarded_for=headers.get("x-forwarded-for", ""),
        trusted_proxies=settings.TRUSTED_PROXIES,
    )
    return FastPathCall(
        begun=begun,
        action=action,
        request=request,
        request_id=sane_request_id(headers.get("x-request-id", "")),
        address=address,
        caller=caller,
        limit=_limit(action, caller=caller, address=address),
        data=data,
        idempotent=idempotent,
    )


def _limit(action: str, *, caller: AccessClaims | None, address: str | None) -> Limit:
    if caller is None:
        return Limit(name="general_address", subject=address_group(address))
    name = "place_user" if WORK[action] is placing.place else "general_user"
    return Limit(name=name, subject=str(caller.user_id))


def _asked(request: FastPathRequest) -> tuple[str, Any]:
    """The action that the request asks for, and its data; None for data that are no good."""
    if request.method == "POST":
        action = PLACES.get(request.path, "")
        is_json = request.headers.get("content-type") in _JSON
        if not action or request.query or not is_json:
            return "", None
        limit = settings.API_BULK_BODY_LIMIT if action == "create_many" else settings.API_BODY_LIMIT
        return action, _decoder(action)(request.body) if len(request.body) <= limit else None
    if request.path in LISTS:
        action = LISTS[request.path]
        address = f"{_site(*_origin(request))}{request.path}"
        return action, ASKED[action](request.query, address=address)
    return ("", None) if request.query else object_at(request.path) or ("", None)


def answer(calls: Sequence[FastPathCall]) -> list[FastPathAnswer | None]:
    """The answers to calls of one kind of work, with all of their headers; None is Django's.

    Whatever goes wrong with the work as a whole is raised.
    """
    work, limits = WORK[calls[0].action], [call.limit for call in calls]
    counted: list[Counted]
    if work is products.browse:
        counted, stamp = count_and_ask(limits, stamp=CATALOGUE)
        work = partial(products.browse, stamp=stamp)
    else:
        counted = count(limits)
    answers: list[FastPathAnswer | None] = [
        None if state.allowed else call.problem(rate_limit_problem([state]))
        for call, state in zip(calls, counted, strict=True)
    ]
    allowed = [number for number, state in enumerate(counted) if state.allowed]
    if allowed:
        worked = work([calls[number] for number in allowed])
        for number, one in zip(allowed, worked, strict=True):
            answers[number] = one
        # Django counts what it answers.
        take_back([limits[number] for number in allowed if answers[number] is None])
    for call, state, one in zip(calls, counted, answers, strict=True):
        if one is not None:
            _complete(one, call=call, limits=rate_limit_headers([state]))
    try:
        tell(calls, answers)
    except Exception:  # such as a log that cannot be written to: what is done is done
        log.exception("requests_not_told")
    return answers


def _complete(answer: FastPathAnswer, *, call: FastPathCall, limits: Mapping[str, str]) -> None:
    """Add what Django's middleware adds to every answer of the route."""
    request = call.request
    answer.headers = {
        **fixed_headers(request, has_etag="ETag" in answer.headers),
        **answer.headers,
        **limits,
        "X-Request-ID": call.request_id,
    }
    if answer.status != 304:
        answer.headers["Content-Length"] = str(len(answer.body))


@cache
def _decoder(action: str) -> Decoder:
    return compiled(BulkOrderInput if action == "create_many" else OrderInput)


def _origin(request: FastPathRequest) -> tuple[str, str, str, str]:
    """What the answer's fixed headers, and whether there is one, depend on."""
    headers = request.headers
    proxied = settings.SECURE_PROXY_SSL_HEADER
    forwarded = headers.get(proxied[0][5:].lower().replace("_", "-"), "") if proxied else ""
    return (
        request.scheme,
        forwarded,
        headers.get("host", ""),
        headers.get("accept-language", ""),
    )


def is_usual(request: FastPathRequest) -> bool:
    """Whether it takes JSON, means this server, and asks for nothing that the lane cannot give."""
    headers = request.headers
    if not _UNUSUAL.isdisjoint(headers) or headers.get("accept", "*/*") not in _ACCEPTED:
        return False
    origin = _origin(request)
    # What is remembered must be small, for it is the client's.
    return sum(map(len, origin)) <= _LONGEST and _fixed_headers(*origin) is not None


def fixed_headers(request: FastPathRequest, *, has_etag: bool = False) -> Mapping[str, str]:
    """What Django's own middleware adds to every answer to such a request, which is usual."""
    return _fixed_headers(*_origin(request), has_etag=has_etag) or {}


@lru_cache(maxsize=4096)
def _site(scheme: str, forwarded: str, host: str, language: str) -> str:
    """The address of the site as Django makes it of the request, such as "https://example.com"."""
    return WSGIRequest(_environ(scheme, forwarded, host, language)).build_absolute_uri("/")[:-1]


@lru_cache(maxsize=4096)
def _fixed_headers(
    scheme: str, forwarded: str, host: str, language: str, *, has_etag: bool = False
) -> Mapping[str, str] | None:
    """The headers that Django's own middleware gives to an answer; None if it would refuse."""
    layers: Any = lambda request: HttpResponse(  # noqa: E731  # what the layers are put around
        headers={"ETag": '"v1"'} if has_etag else None
    )
    for layer in reversed(_LAYERS):
        layers = layer(layers)
    with translation.override(None):
        try:
            response = layers(WSGIRequest(_environ(scheme, forwarded, host, language)))
        except DisallowedHost:
            return None
    if response.status_code != 200:
        return None
    return {
        n: v for n, v in response.items() if n not in ("ETag", "Content-Type", "Content-Length")
    }


def _environ(scheme: str, forwarded: str, host: str, language: str) -> dict[str, Any]:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/api/v1/orders",
        "wsgi.url_scheme": scheme,
        "wsgi.input": BytesIO(),
        "HTTP_HOST": host,
        "HTTP_ACCEPT_LANGUAGE": language,
    }
    if settings.SECURE_PROXY_SSL_HEADER:
        environ[settings.SECURE_PROXY_SSL_HEADER[0]] = forwarded
    return environ
