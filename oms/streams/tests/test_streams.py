"""Streams of events of a real web process: who gets what, from where on, and until when."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator

import httpx
import psycopg
import pytest
from django.db import transaction

from notifications.operations.subscriptions import queue_notifications
from oms.events.models import Event
from oms.events.relay import recorded
from oms.streams.models import Ticket
from oms.testing.factories import (
    actor_for,
    make_customer,
    make_product,
    make_staff,
    tokens_for,
)
from oms.testing.ordering import paid_order, place
from oms.testing.processes import Processes, current_database_url
from oms.testing.streams import StreamRefused, streamed
from oms.users.models import User
from orders.operations.cancelling import cancel_order

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stopping() -> Iterator[Processes]:
    with Processes() as processes:
        yield processes


@pytest.fixture
def buyer() -> User:
    return make_customer()


def token(user: User) -> str:
    return tokens_for(user).access


def test_a_customer_sees_the_own_orders_as_they_happen(url: str, buyer: User) -> None:
    mug = make_product(stock=10)
    with streamed(url, "orders", token=token(buyer)) as stream:
        place((mug, 1))
        order = place((mug, 1), customer=buyer)
        placed = stream.next()
        assert placed.event == "order.placed"
        assert placed.data["order_id"] == str(order.id)
        assert placed.id == str(Event.objects.get(type="order.placed", object_id=order.id).id)

        cancel_order(actor=actor_for(buyer), order_id=order.id)
        assert stream.next().event == "order.cancelled"
        assert stream.is_silent()


def test_staff_see_all_orders_with_their_payments_each_event_once(url: str) -> None:
    with streamed(url, "orders", token=token(make_staff())) as stream:
        paid_order((make_product(stock=10), 1))
        events = stream.until("order.confirmed")
        kinds = [event.event for event in events]
        assert kinds[0] == "order.placed"
        assert "payment.captured" in kinds
        assert len({event.id for event in events}) == len(events)


def test_everybody_sees_the_stock_of_a_product(url: str) -> None:
    mug, cup = make_product(stock=2), make_product(stock=5)
    with (
        streamed(url, "inventory", product_id=str(mug.id)) as of_mug,
        streamed(url, "inventory") as of_all,
    ):
        place((mug, 2))
        state = of_mug.next()
        assert state.event == "inventory.changed"
        assert state.data == {
            "product_id": str(mug.id),
            "sku": mug.sku,
            "available": 0,
            "in_stock": False,
        }
        assert of_all.next().data == state.data

        place((cup, 1))
        assert of_all.next().data["available"] == 4
        assert of_mug.is_silent()


def test_a_notification_arrives_once_it_is_there(url: str, buyer: User) -> None:
    with streamed(url, "notifications", token=token(buyer)) as stream:
        order = place((make_product(stock=10), 1), customer=buyer)
        assert stream.is_silent()
        notify()
        created = stream.next()
        assert created.event == "notification.created"
        assert created.data["order_id"] == str(order.id)
        assert created.data["kind"] == "order_placed"
        notify()
        assert stream.is_silent()


def notify() -> None:
    with transaction.atomic():
        queue_notifications(
            [recorded(event) for event in Event.objects.filter(type="order.placed")]
        )


@pytest.mark.parametrize("by_header", [True, False])
def test_nothing_is_missed_or_doubled_after_a_break(
    url: str, buyer: User, *, by_header: bool
) -> None:
    mug = make_product(stock=100)
    with streamed(url, "orders,notifications", token=token(buyer)) as stream:
        orders = [place((mug, 1), customer=buyer)]
        last = stream.next().id
    for _ in range(30):
        orders.append(place((mug, 1), customer=buyer))
        place((mug, 1))
    resumed = {"headers": {"Last-Event-ID": last}} if by_header else {"after": last}
    with streamed(url, "orders,notifications", token=token(buyer), **resumed) as stream:
        orders.append(place((mug, 1), customer=buyer))
        seen = [stream.next().data["order_id"] for _ in orders[1:]]
        assert seen == [str(order.id) for order in orders[1:]]
        assert stream.is_silent()


def test_a_client_cut_off_before_the_first_event_resumes_where_it_began(
    url: str, buyer: User
) -> None:
    mug = make_product(stock=10)
    place((mug, 1), customer=buyer)
    with streamed(url, "orders", token=token(buyer)) as stream:
        began = stream.opened_at
        assert stream.retries
    order = place((mug, 1), customer=buyer)
    with streamed(url, "orders", token=token(buyer), headers={"Last-Event-ID": began}) as stream:
        assert stream.next().data["order_id"] == str(order.id)


def test_what_a_longer_transaction_holds_back_comes_in_order(url: str, buyer: User) -> None:
    mug = make_product(stock=10)
    with (
        streamed(url, "orders", token=token(buyer)) as stream,
        psycopg.connect(current_database_url()) as other,
    ):
        other.execute("SELECT pg_current_xact_id()")
        order = place((mug, 1), customer=buyer)
        assert stream.is_silent()
        other.rollback()
        assert stream.next().data["order_id"] == str(order.id)


def test_a_ticket_opens_one_stream(url: str, buyer: User) -> None:
    headers = {"Authorization": f"Bearer {token(buyer)}"}
    answer = httpx.post(f"{url}/api/v1/stream/tickets", headers=headers)
    assert answer.status_code == 201
    ticket = answer.json()["ticket"]

    with streamed(url, "orders", ticket=ticket) as stream:
        place((make_product(stock=10), 1), customer=buyer)
        assert stream.next().event == "order.placed"

    again = httpx.get(f"{url}/api/v1/stream", params={"topics": "orders", "ticket": ticket})
    assert (again.status_code, again.json()["code"]) == (401, "ticket_invalid")
    assert not Ticket.objects.exists()


def test_bad_requests_are_problems(url: str, buyer: User) -> None:
    def problem(query: str, **headers: str) -> tuple[int, str]:
        answer = httpx.get(f"{url}/api/v1/stream{query}", headers=headers)
        assert answer.headers["content-type"] == "application/problem+json"
        return answer.status_code, answer.json()["code"]

    bearer = f"Bearer {token(buyer)}"
    assert problem("?topics=orders") == (401, "not_authenticated")
    assert problem("?topics=orders", authorization="Bearer nonsense") == (401, "token_invalid")
    assert problem("") == (400, "invalid_query")
    assert problem("?topics=weather") == (400, "invalid_query")
    assert problem("?topics=inventory&colour=red") == (400, "invalid_query")
    assert problem("?topics=orders&product_id=" + str(buyer.id), authorization=bearer) == (
        400,
        "invalid_query",
    )
    assert problem("?topics=orders&after=" + str(buyer.id), authorization=bearer) == (
        400,
        "invalid_query",
    )
    assert problem("?topics=inventory", **{"last-event-id": "seven"}) == (400, "invalid")
    assert problem("?topics=inventory", accept="application/json") == (406, "not_acceptable")


def test_an_account_has_so_many_streams_and_no_more(url: str, buyer: User) -> None:
    access = token(buyer)
    with (
        streamed(url, "orders", token=access),
        streamed(url, "orders", token=access),
        streamed(url, "orders", token=access),
    ):
        headers = {"Authorization": f"Bearer {access}"}
        answer = httpx.get(f"{url}/api/v1/stream?topics=orders", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many_streams")
        assert answer.headers["retry-after"]
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            with streamed(url, "orders", token=access):
                return
        except StreamRefused:
            time.sleep(0.1)
    pytest.fail("the places of clients that are gone stay taken")


def test_streams_end_with_a_hint_before_the_server_stops(stopping: Processes, buyer: User) -> None:
    web = stopping.start("web")
    with streamed(stopping.web_url, "orders", token=token(buyer)) as stream:
        began = time.monotonic()
        web.popen.terminate()
        assert stream.rest(seconds=5) == []
        assert len(stream.retries) == 2
        assert web.wait() == 0
        assert time.monotonic() - began < 5


def test_without_valkey_events_come_within_a_second_or_so(stopping: Processes, buyer: User) -> None:
    stopping.start("web", {"REDIS_URL": "redis://127.0.0.1:1/0"})
    with streamed(stopping.web_url, "orders", token=token(buyer)) as stream:
        for _ in range(3):
            order = place((make_product(), 1), customer=buyer)
            assert stream.next(seconds=5).data["order_id"] == str(order.id)
            time.sleep(0.5)


def test_curl_follows_a_stream(url: str, buyer: User) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed (apt-get install curl)")
    command = [
        *(curl, "--silent", "--show-error", "--fail", "--no-buffer", "--max-time", "60"),
        *("--header", f"Authorization: Bearer {token(buyer)}"),
        f"{url}/api/v1/stream?topics=orders",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        lines = iter(client.stdout.readline, "")
        assert "event: stream.opened\n" in lines
        order = place((make_product(), 1), customer=buyer)
        assert "event: order.placed\n" in lines
        data = next(lines)
        client.terminate()
    assert json.loads(data.removeprefix("data: "))["order_id"] == str(order.id)
