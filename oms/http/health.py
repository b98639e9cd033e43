"""Whether this process serves, and whether what it needs is there."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from typing import Any

import psycopg
import redis
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from oms.http.payloads import encode

# Seconds for all checks together; one that hangs longer counts as down.
TIMEOUT = 1.0

# Enough for a few checks that hang in what libpq and the resolver cannot be told to give up.
_threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="readiness")


@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """200 for as long as the process serves at all."""
    return _answer({"status": "ok"}, status=200)


@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """200 if all that the process needs is there, else 503; and the state of each either way."""
    begun = time.monotonic()
    checks = {name: _threads.submit(check) for name, check in DEPENDENCIES.items()}
    wait_for(checks.values(), timeout=TIMEOUT)
    states = {name: _state(check, begun) for name, check in checks.items()}
    is_ready = all(state["status"] == "ok" for state in states.values())
    return _answer(
        {"status": "ok" if is_ready else "unavailable", "dependencies": states},
        status=200 if is_ready else 503,
    )


def _check_postgresql() -> float:
    """The moment at which a new connection to PostgreSQL had answered."""
    parameters = {**_connection_parameters(), "connect_timeout": 1}
    with psycopg.connect(**parameters, autocommit=True) as fresh:
        fresh.execute("SELECT 1")
    return time.monotonic()


def _connection_parameters() -> dict[str, Any]:
    parameters: dict[str, Any] = connection.get_connection_params()
    return parameters


def _check_redis() -> float:
    """The moment at which Redis had answered."""
    with redis.from_url(
        settings.REDIS_URL, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT
    ) as client:
        client.ping()
    return time.monotonic()


DEPENDENCIES: Mapping[str, Callable[[], float]] = {
    "postgresql": _check_postgresql,
    "redis": _check_redis,
}


def _state(check: Future[float], begun: float) -> dict[str, object]:
    if not check.done():
        check.cancel()
        return {"status": "down", "error": "timeout"}
    if error := check.exception():
        # Its class alone: the message may hold addresses and names of users.
        return {"status": "down", "error": type(error).__name__}
    return {"status": "ok", "latency_ms": round((check.result() - begun) * 1000, 1)}


def _answer(content: object, *, status: int) -> HttpResponse:
    return HttpResponse(
        encode(content),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
