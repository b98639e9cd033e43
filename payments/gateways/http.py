"""Calls a provider's JSON API and classifies its responses, and their absence."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec
import urllib3
from django.conf import settings
from urllib3.exceptions import HTTPError, LocationValueError

from oms.core.deadline import within_deadline
from payments.gateways.base import (
    GatewayError,
    GatewayMisconfigured,
    GatewayRejected,
    GatewayUnknownOutcome,
)

Response = TypeVar("Response")

# Statuses that do not depend on the request itself: timeout, too early, rate limited.
_TRANSIENT = frozenset({408, 425, 429})
# The key was used for another request: something was done under it, and a look-up says what.
_KEY_REUSED = "idempotency_key_reused"
# The request did not reach the provider's API.
_WRONG_URL = frozenset({"not_found", "method_not_allowed"})
# More than a worker has calls in flight.
_MAX_CONNECTIONS = 100


@cache
def _connections(process_id: int) -> urllib3.PoolManager:
    """The open connections of one process: a forked child must not use those of its parent.

    Providers are reached directly; proxy settings of the environment are ignored.
    """
    return urllib3.PoolManager(maxsize=_MAX_CONNECTIONS)


class _Error(msgspec.Struct, frozen=True):
    code: str
    message: str = ""


class _ErrorBody(msgspec.Struct, frozen=True):
    error: _Error


def call(
    response_type: type[Response],
    *,
    method: str,
    url: str,
    headers: Mapping[str, str],
    query: Mapping[str, str] | None = None,
    body: Mapping[str, Any] | None = None,
) -> Response:
    """The JSON that the provider returns with 2xx, decoded as `response_type`.

    Waits two seconds for a connection and eight for a response (settings), or until the deadline if
    that is earlier. Raises GatewayUnknownOutcome, GatewayRejected, GatewayMisconfigured, and
    DeadlineExceeded before anything is sent.
    """
    timeout = urllib3.Timeout(
        connect=within_deadline(settings.GATEWAY_CONNECT_TIMEOUT),
        read=within_deadline(settings.GATEWAY_READ_TIMEOUT),
    )
    parts = urlsplit(url)
    if body is not None:
        headers = {**headers, "Content-Type": "application/json"}
    try:
        # No automatic retries, and no redirects, which a provider's API does not have.
        response = (
            _connections(os.getpid())
            .connection_from_host(parts.hostname, parts.port, parts.scheme)
            .urlopen(
                method,
                f"{parts.path}?{urlencode(query)}" if query else parts.path,
                body=None if body is None else msgspec.json.encode(body),
                headers=headers,
                retries=False,
                redirect=False,
                timeout=timeout,
            )
        )
    except LocationValueError as error:
        raise GatewayMisconfigured(f"{url} is not the URL of a provider.") from error
    except HTTPError as error:
        # Even after a refused connection: this attempt did nothing, but an earlier one with the
        # same key may have.
        raise GatewayUnknownOutcome(f"{type(error).__name__} in {method} {url}") from error
    if not 200 <= response.status < 300:
        raise _error(response, url=url)
    result = _decode(response.data, response_type)
    if result is None:
        raise GatewayUnknownOutcome(f"The response to {method} {url} is not in the expected form.")
    return result


def _error(response: urllib3.BaseHTTPResponse, *, url: str) -> GatewayError:
    status = response.status
    if status in (401, 403):
        return GatewayMisconfigured(f"The provider rejected our credentials ({status}).")
    body = _decode(response.data, _ErrorBody)
    code = body.error.code if body else ""
    if code in _WRONG_URL:
        return GatewayMisconfigured(f"There is no provider's API at {url}.")
    # A 4xx without the provider's own code may come from a proxy in between.
    is_final = 400 <= status < 500 and status not in _TRANSIENT and code != _KEY_REUSED
    if not is_final or not body or not code:
        return GatewayUnknownOutcome(f"The provider answered {status} {code}")
    return GatewayRejected(code=code, message=body.error.message)


def _decode(data: bytes, type: type[Response]) -> Response | None:
    """The JSON as `type`; None if it is of another form."""
    try:
        return msgspec.json.decode(data, type=type)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
