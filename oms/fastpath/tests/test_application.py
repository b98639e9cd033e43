"""The ASGI application: what it takes, what it hands on, and that its clients get an answer."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any
from unittest.mock import patch

import pytest
from django.test import Client

from oms.api.handlers import ApiAnswer
from oms.core.ids import new_id
from oms.fastpath.application import Application
from oms.fastpath.batches import answer_batch
from oms.fastpath.calls import FastPathCall
from oms.fastpath.requests import FastPathRequest, Scope, request_of
from oms.fastpath.tests.calls import order_body, placing, statuses, token_of
from oms.streams.server import StreamServer
from oms.testing.factories import make_customer, make_product

PATH = "/api/v1/orders"
_SECONDS = 10.0


class Django:
    """A WSGI application in place of Django, which remembers what it was asked."""

    def __init__(self) -> None:
        self.environs: list[dict[str, Any]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.environs.append({**environ, "body": environ["wsgi.input"].read()})
        start_response("299 By Django", [])
        return [b"django"]


class Server:
    """Drives the application as a server does."""

    def __init__(self) -> None:
        self.django = Django()
        self.application: Any = Application(self.django, streams=StreamServer)
        self._lifespan: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._said: asyncio.Queue[Any] = asyncio.Queue()
        self._life: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._life = asyncio.create_task(
            self.application({"type": "lifespan"}, self._lifespan.get, self._said.put)
        )
        await self._lifespan.put({"type": "lifespan.startup"})
        assert (await self._said.get())["type"] == "lifespan.startup.complete"

    async def stop(self) -> None:
        await self._lifespan.put({"type": "lifespan.shutdown"})
        assert (await self._said.get())["type"] == "lifespan.shutdown.complete"

    async def ask(
        self,
        method: str = "POST",
        path: str = PATH,
        *,
        body: bytes = b"",
        headers: Sequence[tuple[str, str]] = (),
        received: int | None = None,
    ) -> list[dict[str, Any]]:
        """What was sent in answer; only so many bytes of the body are `received` if given."""
        messages = [{"type": "http.request", "body": body[:received], "more_body": False}]
        if received is not None:
            messages = [{**messages[0], "more_body": True}, {"type": "http.disconnect"}]
        left = iter(messages)
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return next(left)

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": path,
            "query_string": b"",
            "scheme": "http",
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
            "headers": [(name.encode(), value.encode()) for name, value in headers],
        }
        await asyncio.wait_for(self.application(scope, receive, send), _SECONDS)
        return sent


def run(test: Callable[[Server], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        server = Server()
        await server.start()
        await test(server)
        await server.stop()

    asyncio.run(asyncio.wait_for(whole(), _SECONDS))


@pytest.fixture
def good(db: None) -> dict[str, Any]:
    """A placing that the fast path takes."""
    token = token_of(make_customer())
    body = json.dumps(order_body((new_id(), 1))).encode()
    headers = [
        ("host", "testserver"),
        ("authorization", f"Bearer {token}"),
        ("content-type", "application/json"),
        ("content-length", str(len(body))),
    ]
    return {"body": body, "headers": headers}


def answers(calls: Sequence[FastPathCall], **_: Any) -> list[ApiAnswer | None]:
    return [ApiAnswer(status=201, body=b"fast") for _ in calls]


def without(headers: Sequence[tuple[str, str]], name: str) -> list[tuple[str, str]]:
    return [header for header in headers if header[0] != name]


def test_a_usual_request_is_for_the_fast_path(good: dict[str, Any]) -> None:
    async def test(server: Server) -> None:
        start, body = await server.ask(**good)
        assert (start["status"], body["body"]) == (201, b"fast")
        assert not server.django.environs

    with patch("oms.fastpath.application.answer_batch", answers):
        run(test)


def test_an_unusual_request_goes_to_django_with_its_whole_body(good: dict[str, Any]) -> None:
    body, headers = good["body"], good["headers"]
    odd: list[dict[str, Any]] = [
        {"body": body, "headers": [*headers, ("accept", "*/*"), ("accept", "*/*")]},
        {"body": body, "headers": [*headers, ("x-request-timeout-ms", "5")]},
        {"body": body, "headers": without(headers, "content-type")},
        {"method": "GET", "path": f"{PATH}/{new_id()}", **good},
        {
            "method": "HEAD",
            "path": f"{PATH}/{new_id()}",
            "headers": without(headers, "content-length"),
        },
    ]

    async def test(server: Server) -> None:
        for one in odd:
            start, *_ = await server.ask(**one)
            assert start["status"] == 299, one
            assert server.django.environs.pop()["body"] == one.get("body", b"")
        # Django refuses these by their headers.
        for more in ([], [("content-length", "x")], [("content-length", "9" * 9)]):
            await server.ask(body=body, headers=[*without(headers, "content-length"), *more])
            assert server.django.environs.pop()["body"] == b""

    with patch("oms.fastpath.application.answer_batch", answers):
        run(test)


def test_headers_with_an_underscore_are_dropped(good: dict[str, Any]) -> None:
    smuggled = [("idempotency_key", "k"), ("x_forwarded_for", "192.0.2.1")]
    taken: list[FastPathCall] = []

    def remember(calls: Sequence[FastPathCall], **_: Any) -> list[ApiAnswer | None]:
        taken.extend(calls)
        return answers(calls)

    async def test(server: Server) -> None:
        await server.ask(body=good["body"], headers=[*good["headers"], *smuggled])
        await server.ask(path="/elsewhere", headers=smuggled)
        [environ] = server.django.environs
        assert "HTTP_IDEMPOTENCY_KEY" not in environ
        assert "HTTP_X_FORWARDED_FOR" not in environ

    with patch("oms.fastpath.application.answer_batch", remember):
        run(test)
    assert [call.key for call in taken] == [None]


def test_a_body_that_its_client_did_not_finish_has_no_effect(good: dict[str, Any]) -> None:
    padded = good["body"] + b"   "
    headers = without(good["headers"], "content-length")

    async def test(server: Server) -> None:
        sent = await server.ask(
            body=padded,
            headers=[*headers, ("content-length", str(len(padded)))],
            received=len(good["body"]),
        )
        assert not sent
        assert not server.django.environs

    with patch("oms.fastpath.application.answer_batch", side_effect=AssertionError):
        run(test)


def test_a_bug_is_answered_with_the_id_that_finds_it(good: dict[str, Any]) -> None:
    async def test(server: Server) -> None:
        headers = [*good["headers"], ("x-request-id", "find-me")]
        start, body = await server.ask(body=good["body"], headers=headers)
        assert start["status"] == 500
        assert (b"x-request-id", b"find-me") in start["headers"]
        assert json.loads(body["body"])["request_id"] == "find-me"
        # The thread has survived it.
        start, _ = await server.ask(**good)
        assert start["status"] == 500

    with patch("oms.fastpath.application.answer_batch", side_effect=ZeroDivisionError):
        run(test)


def test_after_the_shutdown_began_django_answers(good: dict[str, Any]) -> None:
    async def whole() -> None:
        server = Server()
        await server.start()
        await server.stop()
        start, *_ = await server.ask(**good)
        assert start["status"] == 299
        assert server.django.environs[0]["body"] == good["body"]

    with patch("oms.fastpath.application.answer_batch", answers):
        asyncio.run(asyncio.wait_for(whole(), _SECONDS))


def test_what_begins_after_its_deadline_has_no_effect_and_a_problem_for_an_answer() -> None:
    def arrived_long_ago(scope: Scope) -> FastPathRequest:
        request = request_of(scope)
        request.arrived -= 0.1
        return request

    async def test(server: Server) -> None:
        headers = [("host", "testserver"), ("x-request-timeout-ms", "50")]
        start, body = await server.ask("GET", headers=headers)
        assert start["status"] == 504
        assert json.loads(body["body"])["code"] == "deadline_exceeded"
        assert server.django.environs == []

    with patch("oms.fastpath.application.request_of", arrived_long_ago):
        run(test)


@pytest.mark.django_db
def test_a_failing_log_does_not_prevent_responses(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    call = placing((make_product().id, 1), token=token_of(make_customer()))

    with (
        caplog.at_level(logging.INFO, logger="oms.http.requests"),
        patch("oms.http.access_log.write", side_effect=BrokenPipeError) as write,
    ):
        assert statuses(answer_batch([call])) == [201]
        assert client.get("/health").status_code == 200

    assert write.call_count == 2
