"""Health and readiness checks."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from typing import Any

import psycopg
import redis
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse

from oms.core.liveness import stopping_file
from oms.http.payloads import encode

# Seconds for all checks together; one that hangs longer counts as down.
TIMEOUT = 1.0

# The answer of /health, which the ASGI front gives by itself.
HEALTHY = encode({"status": "ok"})
HEALTHY_HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-store"}

# Enough for a few checks that hang in libpq or in the resolver, which cannot be cancelled.
_threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="readiness")


def health(request: HttpRequest) -> HttpResponse:
    """200 while the process serves requests."""
    return HttpResponse(HEALTHY, headers=HEALTHY_HEADERS)


def ready(request: HttpRequest) -> HttpResponse:
    """200 if the process can take orders, else 503, with the state of each dependency.

    Without Redis or a worker orders are still taken and processed later: "degraded", still with
    200, because a 503 would make a load balancer close a shop that can sell. 503 also from the
    moment when the server is asked to stop, so that load balancers stop sending.
    """
    begun = time.monotonic()
    checks = {name: _threads.submit(check) for name, check in DEPENDENCIES.items()}
    wait_for(checks.values(), timeout=TIMEOUT)
    states = {name: _state(check, begun) for name, check in checks.items()}
    missing = {name for name, state in states.items() if state["status"] != "ok"}
    processes = _supervised_processes()
    missing_processes = any(process["status"] != "ok" for process in processes.values())
    if stopping_file(settings.RUN_DIR, os.getppid()).exists():
        status = "stopping"
    elif missing - OPTIONAL:
        status = "unavailable"
    else:
        status = "degraded" if missing or missing_processes else "ok"
    return _answer(
        {
            "status": status,
            "dependencies": states,
            **({"processes": processes} if processes else {}),
        },
        status=200 if status in {"ok", "degraded"} else 503,
    )


def _supervised_processes() -> dict[str, Any]:
    """The states of the processes as `manage.py up` sees them; empty where it does not run."""
    try:
        found: dict[str, Any] = json.loads((settings.RUN_DIR / "processes.json").read_bytes())
    except FileNotFoundError:
        return {}
    return found


def _check_postgresql() -> float:
    """When a new connection to PostgreSQL had answered, by the monotonic clock."""
    parameters = {**_connection_parameters(), "connect_timeout": 1}
    with psycopg.connect(**parameters, autocommit=True) as fresh:
        fresh.execute("SELECT 1")
    return time.monotonic()


def _connection_parameters() -> dict[str, Any]:
    parameters: dict[str, Any] = connection.get_connection_params()
    return parameters


def _check_redis() -> float:
    """When Redis had answered, by the monotonic clock."""
    with redis.from_url(
        settings.REDIS_URL, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT
    ) as client:
        client.ping()
    return time.monotonic()


DEPENDENCIES: dict[str, Callable[[], float]] = {
    "postgresql": _check_postgresql,
    "redis": _check_redis,
}
# Orders are accepted without these, too.
OPTIONAL = frozenset({"redis", "streams"})


def add_dependency(name: str, check: Callable[[], float]) -> None:
    """Report something else; no order can be placed without it, unless it is in OPTIONAL.

    `check` returns the moment, of time.monotonic, at which it worked, or raises an exception.
    """
    DEPENDENCIES[name] = check


def remove_dependency(name: str) -> None:
    """Report it no more."""
    DEPENDENCIES.pop(name, None)


def _state(check: Future[float], begun: float) -> dict[str, object]:
    if not check.done():
        check.cancel()
        return {"status": "down", "error": "timeout"}
    if error := check.exception():
        # Only its class: the message may contain addresses and user names.
        return {"status": "down", "error": type(error).__name__}
    return {"status": "ok", "latency_ms": round((check.result() - begun) * 1000, 1)}


def _answer(content: object, *, status: int) -> HttpResponse:
    return HttpResponse(
        encode(content),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
