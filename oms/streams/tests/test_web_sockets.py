"""The WebSocket of a real web process, with the library `websockets` as its client."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from oms.fastpath.requests import Message
from oms.streams.listeners import Ending, Listener
from oms.streams.tests.in_process import ANONYMOUS, running_streams
from oms.streams.web_socket import _Socket
from oms.testing.factories import actor_for, make_customer, make_product, tokens_for
from oms.testing.ordering import place
from oms.testing.processes import Processes, RunningProcess
from oms.testing.streams import web_socket
from oms.users.models import User
from oms.users.operations.sessions import revoke_session

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def buyer() -> User:
    return make_customer()


def access(user: User) -> str:
    return tokens_for(user).access


def test_events_come_after_subscribing_and_until_unsubscribing(url: str, buyer: User) -> None:
    mug = make_product()
    with web_socket(url, token=access(buyer)) as socket:
        answer = socket.ask(type="subscribe", topics=["orders", "notifications"])
        assert answer.pop("after")
        assert answer == {"type": "subscribed", "topics": ["orders", "notifications"]}
        order = place((mug, 1), customer=buyer)
        event = socket.receive()
        assert event.keys() == {"type", "id", "event", "data"}
        assert (event["type"], event["event"]) == ("event", "order.placed")
        assert event["data"]["order_id"] == str(order.id)

        assert socket.ask(type="unsubscribe", topics=["orders"]) == {
            "type": "unsubscribed",
            "topics": ["orders"],
        }
        place((mug, 1), customer=buyer)
        answer = socket.ask(type="subscribe", topics=["orders"], after=event["id"])
        assert answer["after"] == event["id"]
        assert socket.receive()["event"] == "order.placed"


def test_anybody_follows_stock_and_nothing_else(url: str) -> None:
    mug = make_product(stock=3)
    with web_socket(url) as socket:
        answer = socket.ask(type="subscribe", topics=["inventory"], product_id=str(mug.id))
        assert answer["product_id"] == str(mug.id)
        place((mug, 1))
        assert socket.receive()["data"]["available"] == 2
        refused = socket.ask(type="subscribe", topics=["orders"])
        assert (refused["type"], refused["code"]) == ("error", "not_authenticated")
        assert socket.close_code() == 4401


def test_bad_messages_are_answered_with_errors(url: str, buyer: User) -> None:
    with web_socket(url, token=access(buyer)) as socket:
        for message in (
            {},
            {"type": "dance"},
            {"type": "subscribe"},
            {"type": "subscribe", "topics": []},
            {"type": "subscribe", "topics": ["weather"]},
            {"type": "subscribe", "topics": ["orders"], "colour": "red"},
            {"type": "subscribe", "topics": ["orders"], "product_id": str(buyer.id)},
            {"type": "subscribe", "topics": ["orders"], "after": str(buyer.id)},
            {"type": "unsubscribe", "topics": ["orders"]},
        ):
            assert socket.ask(**message)["type"] == "error", message
        assert socket.ask(type="subscribe", topics=["orders"])["type"] == "subscribed"
        assert socket.ask(type="subscribe", topics=["orders"])["code"] == "already_subscribed"
        socket.connection.send("x" * 5_000)
        assert socket.close_code() == 4429


def test_invalid_credentials_close_it(url: str) -> None:
    for token, query in (("nonsense", ""), ("", "?ticket=nonsense")):
        with web_socket(url, token=token, query=query) as socket:
            assert socket.receive()["type"] == "error"
            assert socket.close_code() == 4401


def test_a_ticket_opens_it_and_it_ends_with_the_session(url: str, buyer: User) -> None:
    pair = tokens_for(buyer)
    headers = {"Authorization": f"Bearer {pair.access}"}
    answer = httpx.post(f"{url}/api/v1/stream/tickets", headers=headers)
    with web_socket(url, query=f"?ticket={answer.json()['ticket']}") as socket:
        assert socket.ask(type="subscribe", topics=["orders"])["type"] == "subscribed"
        revoke_session(actor=actor_for(buyer), refresh=pair.refresh)
        assert socket.close_code() == 4401


def test_too_many_of_an_account_are_refused(url: str, buyer: User) -> None:
    token = access(buyer)
    with ExitStack() as stack:
        for _ in range(3):
            socket = stack.enter_context(web_socket(url, token=token))
            assert socket.ask(type="subscribe", topics=["orders"])["type"] == "subscribed"
        fourth = stack.enter_context(web_socket(url, token=token))
        assert fourth.receive()["code"] == "too_many_streams"
        assert fourth.close_code() == 4429


def test_at_the_end_of_the_server_clients_are_asked_to_come_again(buyer: User) -> None:
    with Processes() as processes:
        web = processes.start("web")
        with web_socket(processes.web_url, token=access(buyer)) as socket:
            assert socket.ask(type="subscribe", topics=["orders"])["type"] == "subscribed"
            web.popen.terminate()
            assert socket.close_code() == 1012
            assert web.wait() == 0


def lines_of(web: RunningProcess, request_id: str, *, number: int) -> list[dict[str, Any]]:
    """The lines of the log with that id, once there are so many."""
    until = time.monotonic() + 20
    found: list[dict[str, Any]] = []
    while len(found) < number and time.monotonic() < until:
        lines = [line for line in web.log_text().splitlines() if request_id in line]
        found = [json.loads(line) for line in lines]
        time.sleep(0.1)
    assert len(found) == number
    return found


def test_the_log_has_the_beginning_and_the_end(url: str, web: RunningProcess, buyer: User) -> None:
    headers = {"X-Request-ID": "web-socket-7"}
    with web_socket(url, token=access(buyer), headers=headers) as socket:
        assert socket.ask(type="subscribe", topics=["inventory"])["type"] == "subscribed"
        for _ in range(61):
            socket.connection.send("{}")
        assert socket.close_code() == 4429
    begun, ended = lines_of(web, "web-socket-7", number=2)
    assert (begun["event"], begun["path"], begun["status"]) == ("request", "/api/v1/ws", 101)
    assert (ended["event"], ended["kind"]) == ("stream_ended", "websocket")
    assert (ended["reason"], ended["close_code"]) == ("too_many", 4429)
    assert begun["user_id"] == ended["user_id"] == str(buyer.id)
    assert ended["duration_ms"] > 0


def test_the_log_has_what_was_refused(url: str, web: RunningProcess) -> None:
    headers = {"X-Request-ID": "web-socket-8"}
    with web_socket(url, token="nonsense", headers=headers) as socket:
        assert socket.close_code() == 4401
    [refused] = lines_of(web, "web-socket-8", number=1)
    assert (refused["event"], refused["status"]) == ("request", 401)


def test_closing_does_not_wait_long_for_a_client_that_does_not_read() -> None:
    listener = Listener(kind="websocket")
    sent: list[str] = []

    async def forever() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message["type"])
        await forever()

    async def run() -> None:
        async with running_streams() as streams:
            listener.end(Ending.RESTART)
            socket = _Socket(ANONYMOUS, listener, receive=forever, send=send, streams=streams)
            async with asyncio.timeout(5):
                await socket.run()

    asyncio.run(run())
    assert sent == ["websocket.close"]
