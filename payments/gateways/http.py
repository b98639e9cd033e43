"""Calling a provider's JSON API, and telling apart what an answer, or none, means."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Mapping
from typing import Any

import httpx
from django.conf import settings

from oms.core.deadline import within_deadline
from payments.gateways.base import (
    GatewayMisconfigured,
    GatewayRejected,
    GatewayUnknownOutcome,
)

# Answers of 4xx that speak of the moment, not of the request: 408, 425 and 429.
_PASSING = frozenset({408, 425, 429})
# The key stands for another request: something was done under it, and a look-up says what.
_KEY_REUSED = "idempotency_key_reused"

# Our request went to a place that is none of the provider's API.
_NO_SUCH_CALL = frozenset({"not_found", "method_not_allowed"})

_client: httpx.Client | None = None
_making = threading.Lock()


def _client_of_this_process() -> httpx.Client:
    """The one pooled client of this process, made when it is first needed."""
    global _client
    with _making:
        if _client is None:
            # Providers are reached directly, whatever proxy the environment names, and a
            # redirect is not followed: a provider's API has none.
            _client = httpx.Client(
                trust_env=False,
                follow_redirects=False,
                limits=httpx.Limits(max_connections=100, max_keepalive_connections=20),
            )
        return _client


def _forget_client() -> None:
    """In a forked child: connections and locks of the parent are not ours to use."""
    global _client, _making
    _client, _making = None, threading.Lock()


def _close_client() -> None:
    if _client is not None:
        _client.close()


os.register_at_fork(after_in_child=_forget_client)
atexit.register(_close_client)


def call(
    *,
    method: str,
    url: str,
    headers: Mapping[str, str],
    query: Mapping[str, str] | None = None,
    body: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The JSON object that the provider answers with 2xx.

    Waits two seconds for a connection and eight for an answer (settings), less if the deadline
    comes before. Raises GatewayUnknownOutcome, GatewayRejected, GatewayMisconfigured, and
    DeadlineExceeded before anything is sent.
    """
    connect = within_deadline(settings.GATEWAY_CONNECT_TIMEOUT)
    read = within_deadline(settings.GATEWAY_READ_TIMEOUT)
    try:
        response = _client_of_this_process().request(
            method,
            url,
            headers=dict(headers),
            params=query,
            json=body,
            timeout=httpx.Timeout(read, connect=connect, pool=connect),
        )
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise GatewayMisconfigured(f"{url} is not a provider's address.") from error
    except httpx.HTTPError as error:
        # Even a refused connection: it is certain only that this try did nothing, and an
        # earlier one with the same key may have done it.
        raise GatewayUnknownOutcome(f"{type(error).__name__} in {method} {url}") from error
    return _understood(response)


def _understood(response: httpx.Response) -> dict[str, Any]:
    answer = _json_object(response)
    if response.is_success:
        if answer is None:
            raise GatewayUnknownOutcome("The provider's answer is not a JSON object.")
        return answer
    if response.status_code in (401, 403):
        raise GatewayMisconfigured(
            f"The provider refuses our credentials ({response.status_code})."
        )
    said = (answer or {}).get("error")
    error = said if isinstance(said, dict) else {}
    code = error.get("code")
    if code in _NO_SUCH_CALL:
        raise GatewayMisconfigured(f"There is no provider's API at {response.url}.")
    # A 4xx without the provider's own code may come from something in between, and is no verdict.
    if (
        not response.is_client_error
        or response.status_code in _PASSING
        or not isinstance(code, str)
        or code == _KEY_REUSED
    ):
        raise GatewayUnknownOutcome(f"The provider answered {response.status_code} {code or ''}")
    raise GatewayRejected(code=code, message=str(error.get("message", "")))


def _json_object(response: httpx.Response) -> dict[str, Any] | None:
    try:
        answer = response.json()
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None
