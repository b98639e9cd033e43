"""Calls of the fast path for tests, as its event loop would accept them."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psycopg
from django.db import connection

from oms.api.handlers import ApiAnswer
from oms.fastpath.calls import FastPathCall, accept
from oms.fastpath.requests import FastPathRequest
from oms.fastpath.routes import find_route
from oms.testing.factories import tokens_for
from oms.testing.ordering import ADDRESS
from oms.users.models import User


def order_body(*lines: tuple[UUID, int]) -> dict[str, Any]:
    """The body of an order of products and quantities."""
    return {
        "items": [{"product_id": str(id), "quantity": quantity} for id, quantity in lines],
        "shipping_address": {k: v for k, v in ADDRESS.items() if v},
    }


def request(
    method: str, path: str, *, token: str, body: Any = None, key: str = "", **changes: Any
) -> FastPathRequest:
    """A usual request; `changes` are other fields of it."""
    headers = {"host": "testserver", "authorization": f"Bearer {token}"}
    if body is not None:
        headers["content-type"] = "application/json"
    if key:
        headers["idempotency-key"] = key
    content = b"" if body is None else json.dumps(body).encode()
    if content:
        headers["content-length"] = str(len(content))
    fields: dict[str, Any] = {
        "method": method,
        "path": path,
        "query": b"",
        "headers": headers,
        "body": content,
        "scheme": "http",
        "client": ("127.0.0.1", 0),
        "arrived": time.monotonic(),
    }
    return FastPathRequest(**{**fields, **changes})


def call_of(request: FastPathRequest) -> FastPathCall | None:
    """The call of the request for a hot route; None if it is left to Django."""
    route, id = find_route(request.method, request.path)
    assert route is not None, "not a hot route"
    return accept(request, route=route, id=id)


def accepted(request: FastPathRequest) -> FastPathCall:
    """The call of the request; fails if it is left to Django."""
    call = call_of(request)
    assert call is not None, "left to Django"
    return call


def placing(*lines: tuple[UUID, int], token: str, key: str = "") -> FastPathCall:
    """A call that places an order."""
    body = order_body(*lines)
    return accepted(request("POST", "/api/v1/orders", token=token, body=body, key=key))


def reading(order_id: UUID, *, token: str, status: bool = False) -> FastPathCall:
    """A call that reads an order, or its status."""
    path = f"/api/v1/orders/{order_id}{'/status' if status else ''}"
    return accepted(request("GET", path, token=token))


def token_of(user: User) -> str:
    """An access token of a new session of the user."""
    return tokens_for(user).access


def statuses(answers: Sequence[ApiAnswer | None]) -> list[int | None]:
    """The status of each answer; None for one that is left to Django."""
    return [None if answer is None else answer.status for answer in answers]


def login() -> dict[str, Any]:
    """What psycopg needs to connect to the test's database past Django."""
    parameters = connection.get_connection_params()
    names = ("dbname", "user", "password", "host", "port")
    return {name: parameters[name] for name in names if name in parameters}


def terminate_own_connection() -> None:
    """End this thread's connection from another one, as a restart of PostgreSQL does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [pid] = cursor.fetchone()
    with psycopg.connect(**login(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 2000)", [pid])
