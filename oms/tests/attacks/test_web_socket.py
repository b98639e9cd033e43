"""The WebSocket, which is in no URLconf, attacked as the routes are: by each caller and message."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import httpx
import pytest
from django.urls import reverse
from websockets.exceptions import InvalidStatus

from oms.core.permissions import Permission
from oms.streams.topics import Topic
from oms.streams.web_socket import PATH
from oms.testing.factories import tokens_for
from oms.testing.processes import Processes
from oms.tests.attacks.access import EXPECTED, Access, Expected
from oms.tests.attacks.document import encoded, places, with_value, wrong_values
from oms.tests.attacks.operations import METHODS
from oms.tests.attacks.shop import CALLERS, INVALID, Request, Shop, database_digest, open_shop
from oms.tests.attacks.streams import SUBSCRIBE, ask, close_code, receive, web_socket
from oms.tests.attacks.test_bodies import TEMPTING

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def _topic(access: Access, *permissions: Permission) -> Expected:
    return Expected(access=access, request=lambda shop: Request(), permissions=permissions)


TOPICS = {
    Topic.ORDERS: _topic(Access.SIGNED_IN, Permission.ORDERS_VIEW),
    Topic.NOTIFICATIONS: _topic(Access.SIGNED_IN),
    Topic.INVENTORY: _topic(Access.PUBLIC),
}
MESSAGE = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "enum": ["subscribe", "unsubscribe"]},
        "topics": {
            "type": "array",
            "maxItems": 50,
            "items": {"type": "string", "enum": [topic.value for topic in Topic]},
        },
        "product_id": {"type": "string", "format": "uuid"},
        "after": {"type": "string", "format": "uuid"},
    },
}
# Of a connection, in a minute.
MOST_MESSAGES = 50
# The library of the messages takes a UUID without hyphens.
ALLOWED = {"0" * 32}


@pytest.fixture(scope="module")
def server(module_processes: Processes) -> Processes:
    limits = ("USER", "ANONYMOUS")
    module_processes.start(
        "web",
        {
            **{f"RATE_LIMIT_{name}": "1000000/minute" for name in limits},
            "STREAMS_PER_ACCOUNT": "1000",
            "STREAMS_PER_ADDRESS": "1000",
        },
    )
    return module_processes


@pytest.fixture
def url(server: Processes, transactional_db: None) -> Iterator[str]:
    """The address of the server, which is still well after the test."""
    yield server.web_url
    assert httpx.get(f"{server.web_url}/health", trust_env=False).status_code == 200


@pytest.fixture
def shop(transactional_db: None) -> Shop:
    return open_shop()


def test_every_topic_has_an_expectation() -> None:
    assert frozenset(TOPICS) == frozenset(Topic)


@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_is_refused_to_all_who_may_not(topic: Topic, url: str, shop: Shop) -> None:
    before = database_digest()
    callers = {name: TOPICS[topic].status_for(name) for name in CALLERS}
    assert {200, 401} == set(callers.values())
    for caller, status in callers.items():
        with web_socket(url, authorization=shop.authorization[caller]) as socket:
            # Wrong credentials are refused before anything else.
            wanted = {"type": "subscribe", "topics": [topic]}
            answer = receive(socket) if caller in INVALID else ask(socket, wanted)
            if status == 200:
                assert answer["type"] == "subscribed", (caller, answer)
            else:
                assert (answer["type"], answer["status"]) == ("error", status), (caller, answer)
                assert close_code(socket) == 4000 + status
    assert database_digest() == before


def test_staff_need_the_permission_of_a_topic(url: str, shop: Shop) -> None:
    authorization = f"Bearer {tokens_for(shop.member).access}"
    for topic, expected in TOPICS.items():
        with web_socket(url, authorization=authorization) as socket:
            answer = ask(socket, {"type": "subscribe", "topics": [topic]})
            if not expected.permissions:
                assert answer["type"] == "subscribed", answer
                continue
            assert answer["status"] == 403, answer
            assert answer["code"] == "permission_denied"
            assert close_code(socket) == 4403


def test_no_route_of_the_urlconf_takes_a_web_socket(url: str, shop: Shop) -> None:
    """So there is no other door than the one that these tests know."""
    authorization = shop.authorization["boss"]
    for _, route in EXPECTED:
        request = next(EXPECTED[o] for o in EXPECTED if o[1] == route).request(shop)
        path = reverse(route, kwargs=dict(request.kwargs))
        with (
            pytest.raises(InvalidStatus) as refusal,
            web_socket(url, authorization=authorization, path=path),
        ):
            pass
        assert refusal.value.response.status_code == 403, path
    for path in (f"{PATH}/", f"{PATH}x", PATH.upper(), f"/{PATH}", f"{PATH}%00"):
        with (
            pytest.raises(InvalidStatus),
            web_socket(url, authorization=authorization, path=path),
        ):
            pass
    with web_socket(url, authorization=authorization) as socket:
        assert ask(socket, SUBSCRIBE)["type"] == "subscribed"


@pytest.mark.parametrize("method", METHODS)
def test_without_a_handshake_there_is_nothing(method: str, url: str, shop: Shop) -> None:
    for caller in ("anonymous", "owner", "boss", "garbage"):
        authorization = shop.authorization[caller]
        headers = {} if authorization is None else {"Authorization": authorization}
        answer = httpx.request(method, f"{url}{PATH}", headers=headers, trust_env=False)
        # Methods that no route has are refused before a path is looked for.
        status = 405 if method in ("TRACE", "FROBNICATE") else 404
        assert answer.status_code == status, (caller, answer.text)


def _wrong_messages(shop: Shop) -> Iterator[Any]:
    valid = {**SUBSCRIBE, "topics": ["inventory"], "product_id": str(shop.product.id)}
    for place, schema in places(MESSAGE):
        for value in wrong_values(schema):
            if not (isinstance(value, str) and value in ALLOWED):
                yield with_value(valid, place, value)
    for name in sorted(TEMPTING | {"ticket", "topic", "scope"}):
        yield {**valid, name: str(shop.owner.id)}


def test_wrong_messages_and_unknown_members_are_refused(url: str, shop: Shop) -> None:
    before, number = database_digest(), 0
    wrong = _wrong_messages(shop)
    while messages := list(islice(wrong, MOST_MESSAGES)):
        with web_socket(url, authorization=shop.authorization["stranger"]) as socket:
            for message in messages:
                answer = ask(socket, message)
                assert (answer["type"], answer["status"]) == ("error", 400), (message, answer)
                number += 1
    assert number > 100
    assert database_digest() == before


def test_bytes_that_are_no_message_are_refused(url: str, shop: Shop) -> None:
    with web_socket(url, authorization=shop.authorization["stranger"]) as socket:
        for text in ("", "{", "[" * 4_000, "\x00", encoded("\ud800").decode(), "nul"):
            socket.send(text)
            assert '"status":400' in str(socket.recv(timeout=20)), text
        socket.send(b"\xff\xfe")
        assert '"status":400' in str(socket.recv(timeout=20))
