"""The WebSocket of a real web process, with the library `websockets` as its client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
from websockets import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from oms.testing.factories import actor_for, make_customer, make_product, tokens_for
from oms.testing.ordering import place
from oms.testing.processes import Processes
from oms.users.models import User
from oms.users.operations.sessions import revoke_session

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = 10.0


@pytest.fixture
def buyer() -> User:
    return make_customer()


@contextmanager
def connected(url: str, *, token: str = "", query: str = "") -> Iterator[ClientConnection]:
    headers = {"Authorization": f"Bearer {token}"} if token else None
    address = f"{url.replace('http', 'ws', 1)}/api/v1/ws{query}"
    with connect(address, additional_headers=headers, proxy=None) as socket:
        yield socket


def receive(socket: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(socket.recv(timeout=SECONDS))
    return message


def ask(socket: ClientConnection, **message: Any) -> dict[str, Any]:
    socket.send(json.dumps(message))
    return receive(socket)


def close_code(socket: ClientConnection) -> int | None:
    try:
        while True:
            socket.recv(timeout=SECONDS)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None


def access(user: User) -> str:
    return tokens_for(user).access


def test_events_come_after_subscribing_and_until_unsubscribing(url: str, buyer: User) -> None:
    mug = make_product()
    with connected(url, token=access(buyer)) as socket:
        answer = ask(socket, type="subscribe", topics=["orders", "notifications"])
        assert answer.pop("after")
        assert answer == {"type": "subscribed", "topics": ["orders", "notifications"]}
        order = place((mug, 1), customer=buyer)
        event = receive(socket)
        assert event.keys() == {"type", "id", "event", "data"}
        assert (event["type"], event["event"]) == ("event", "order.placed")
        assert event["data"]["order_id"] == str(order.id)

        assert ask(socket, type="unsubscribe", topics=["orders"]) == {
            "type": "unsubscribed",
            "topics": ["orders"],
        }
        place((mug, 1), customer=buyer)
        answer = ask(socket, type="subscribe", topics=["orders"], after=event["id"])
        assert answer["after"] == event["id"]
        assert receive(socket)["event"] == "order.placed"


def test_anybody_follows_stock_and_nothing_else(url: str) -> None:
    mug = make_product(stock=3)
    with connected(url) as socket:
        answer = ask(socket, type="subscribe", topics=["inventory"], product_id=str(mug.id))
        assert answer["product_id"] == str(mug.id)
        place((mug, 1))
        assert receive(socket)["data"]["available"] == 2
        refused = ask(socket, type="subscribe", topics=["orders"])
        assert (refused["type"], refused["code"]) == ("error", "not_authenticated")
        assert close_code(socket) == 4401


def test_bad_messages_are_answered_with_errors(url: str, buyer: User) -> None:
    with connected(url, token=access(buyer)) as socket:
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
            assert ask(socket, **message)["type"] == "error", message
        assert ask(socket, type="subscribe", topics=["orders"])["type"] == "subscribed"
        assert ask(socket, type="subscribe", topics=["orders"])["code"] == "already_subscribed"
        socket.send("x" * 5_000)
        assert close_code(socket) == 4429


def test_invalid_credentials_close_it(url: str) -> None:
    for arguments in ({"token": "nonsense"}, {"query": "?ticket=nonsense"}):
        with connected(url, **arguments) as socket:
            assert receive(socket)["type"] == "error"
            assert close_code(socket) == 4401


def test_a_ticket_opens_it_and_it_ends_with_the_session(url: str, buyer: User) -> None:
    pair = tokens_for(buyer)
    headers = {"Authorization": f"Bearer {pair.access}"}
    answer = httpx.post(f"{url}/api/v1/stream/tickets", headers=headers)
    with connected(url, query=f"?ticket={answer.json()['ticket']}") as socket:
        assert ask(socket, type="subscribe", topics=["orders"])["type"] == "subscribed"
        revoke_session(actor=actor_for(buyer), refresh=pair.refresh)
        assert close_code(socket) == 4401


def test_too_many_of_an_account_are_refused(url: str, buyer: User) -> None:
    token = access(buyer)
    with ExitStack() as stack:
        for _ in range(3):
            socket = stack.enter_context(connected(url, token=token))
            assert ask(socket, type="subscribe", topics=["orders"])["type"] == "subscribed"
        fourth = stack.enter_context(connected(url, token=token))
        assert receive(fourth)["code"] == "too_many_streams"
        assert close_code(fourth) == 4429


def test_at_the_end_of_the_server_clients_are_asked_to_come_again(buyer: User) -> None:
    with Processes() as processes:
        web = processes.start("web")
        with connected(processes.web_url, token=access(buyer)) as socket:
            assert ask(socket, type="subscribe", topics=["orders"])["type"] == "subscribed"
            web.popen.terminate()
            assert close_code(socket) == 1012
            assert web.wait() == 0
