"""The feed of events: whose, in which order, from where on, and up to where."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection
from rest_framework.test import APIClient

from oms.core.clock import now
from oms.events.models import ArchivedMonth, Event
from oms.events.relay import deliver
from oms.streams.facts import types_as_markdown, types_for_customers, types_for_staff
from oms.streams.feed import NOTHING
from oms.subscriptions import CONSUMERS
from oms.testing.event_log import wait_until_readable
from oms.testing.factories import actor_for, api_client, make_customer, make_product, make_staff
from oms.testing.ordering import paid_order, payment_of, place, shipped_order
from oms.users.models import User
from orders.models import Order
from orders.operations.cancelling import cancel_order
from orders.operations.returns import ReturnedItem, request_return

pytestmark = pytest.mark.django_db(transaction=True)

OWN, ALL = "/api/v1/events", "/api/v1/admin/events"


@pytest.fixture
def buyer() -> User:
    return make_customer()


@pytest.fixture
def staff() -> APIClient:
    return api_client(make_staff())


def followed(client: APIClient, url: str) -> tuple[list[dict[str, Any]], str]:
    """All events from there on, and the address of what comes after them."""
    wait_until_readable()
    events: list[dict[str, Any]] = []
    while True:
        answer = client.get(url)
        assert answer.status_code == 200, answer.content
        page = answer.json()
        if not page["results"] and page["next"] == url:
            return events, url
        events += page["results"]
        url = page["next"]


def from_beginning(path: str, query: str = "") -> str:
    return f"http://testserver{path}?after={NOTHING}{query}"


def types_of(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def test_a_customer_follows_the_own_orders_and_no_others(buyer: User) -> None:
    mug = make_product(stock=10)
    mine, _ = place((mug, 1), customer=buyer), place((mug, 1))
    client = api_client(buyer)

    events, end = followed(client, from_beginning(OWN))
    assert types_of(events) == ["order.placed"]
    [placed] = events
    assert placed["order_id"] == str(mine.id) == placed["data"]["order_id"]
    assert placed["actor_kind"] == "customer"
    assert placed.keys() == {"id", "type", "occurred_at", "order_id", "actor_kind", "data"}

    cancel_order(actor=actor_for(buyer), order_id=mine.id)
    later, _ = followed(client, end)
    assert types_of(later) == ["order.cancelled"]


def test_staff_follow_orders_payments_and_products(buyer: User, staff: APIClient) -> None:
    order = paid_order((make_product(stock=10), 1), customer=buyer)

    events, _ = followed(staff, from_beginning(ALL))
    assert types_of(events) == [
        *("product.created", "product.became_available", "order.placed", "payment.requested"),
        *("payment.captured", "order.paid", "order.confirmed"),
    ]
    kept = Event.objects.filter(type__in=types_for_staff()).order_by("transaction", "position")
    assert [UUID(event["id"]) for event in events] == [event.id for event in kept]

    of_order, _ = followed(staff, from_beginning(ALL, f"&order_id={order.id}"))
    assert of_order == events[2:]
    captured, _ = followed(staff, from_beginning(ALL, "&type=payment.captured"))
    assert [event["data"]["payment_id"] for event in captured] == [str(payment_of(order).id)]


@pytest.mark.parametrize("size", [1, 2, 200])
def test_the_size_of_the_pages_changes_nothing(buyer: User, staff: APIClient, size: int) -> None:
    mug = make_product(stock=10)
    for _ in range(3):
        place((mug, 1), customer=buyer)

    for client, path in ((staff, ALL), (api_client(buyer), OWN)):
        expected, _ = followed(client, from_beginning(path))
        events, _ = followed(client, from_beginning(path, f"&page_size={size}"))
        assert events == expected


def test_rare_events_are_reached_over_empty_pages(
    staff: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oms.streams.feed._MOST_SCANNED", 2)
    mug = make_product(stock=10)
    orders = [place((mug, 1)) for _ in range(5)]
    cancel_order(actor=actor_for(orders[3].customer), order_id=orders[3].id)

    events, _ = followed(staff, from_beginning(ALL, "&type=order.cancelled"))
    assert [event["order_id"] for event in events] == [str(orders[3].id)]


def test_latest_begins_with_what_happens_from_now_on(buyer: User, staff: APIClient) -> None:
    mug = make_product(stock=10)
    place((mug, 1), customer=buyer)
    wait_until_readable()

    for client, path in ((staff, ALL), (api_client(buyer), OWN)):
        answer = client.get(f"{path}?after=latest").json()
        assert answer["results"] == []
        order = place((mug, 1), customer=buyer)
        events, _ = followed(client, answer["next"])
        assert [event["order_id"] for event in events] == [str(order.id)]


def test_who_has_no_orders_learns_nothing_of_others(buyer: User) -> None:
    place((make_product(stock=10), 1))
    wait_until_readable()
    client = api_client(buyer)

    for after in ("latest", str(NOTHING)):
        answer = client.get(f"{OWN}?after={after}").json()
        assert answer == {"next": from_beginning(OWN), "results": []}


def test_anothers_order_has_no_events_for_a_customer(buyer: User) -> None:
    order = place((make_product(stock=10), 1))

    events, _ = followed(api_client(buyer), from_beginning(OWN, f"&order_id={order.id}"))
    assert events == []


def test_all_of_an_order_is_found_by_it(buyer: User, staff: APIClient) -> None:
    """What the feed has with that `order_id`, whatever object the event is of."""
    mug = make_product(stock=10)
    order, _ = shipped_order((mug, 1), customer=buyer), place((mug, 1), customer=buyer)
    [item] = order.items.all()
    request_return(
        actor=actor_for(buyer),
        order_id=order.id,
        items=[ReturnedItem(order_item_id=item.id, quantity=1, reason="Too small.")],
    )
    wait_until_readable()
    for consumer in CONSUMERS:
        deliver(consumer)

    for client, path in ((staff, ALL), (api_client(buyer), OWN)):
        events, _ = followed(client, from_beginning(path))
        of_order, _ = followed(client, from_beginning(path, f"&order_id={order.id}"))
        assert of_order == [event for event in events if event["order_id"] == str(order.id)]
        assert "return.requested" in types_of(of_order)
    assert "notification.created" in types_of(of_order)


def test_what_was_written_after_an_open_transaction_waits_for_it(staff: APIClient) -> None:
    """Or it would be passed by those who follow, if the open one writes an event."""
    mug = make_product(stock=10)
    _, end = followed(staff, from_beginning(ALL))
    with psycopg.connect(connection.connection.info.dsn) as other:
        other.execute("SELECT pg_current_xact_id()")
        place((mug, 1))
        assert staff.get(end).json()["results"] == []

    events, _ = followed(staff, end)
    assert types_of(events) == ["order.placed"]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("after=newest", "after"),
        ("after=019aa2f4-7c1e-7d52-9b0a-3c5f6e8d1a27", "after"),
        ("type=order.vanished", "type"),
        ("order_id=7", "order_id"),
        ("page_size=0", "page_size"),
        ("page_size=201", "page_size"),
        ("cursor=abc", "cursor"),
    ],
)
def test_what_makes_no_sense_is_refused(staff: APIClient, query: str, parameter: str) -> None:
    answer = staff.get(f"{ALL}?{query}")
    assert answer.status_code == 400
    assert [error["parameter"] for error in answer.json()["errors"]] == [parameter]


def test_customers_ask_for_no_types_of_staff(buyer: User) -> None:
    answer = api_client(buyer).get(f"{OWN}?type=payment.captured")
    assert answer.status_code == 400


def test_an_archived_position_is_gone(staff: APIClient) -> None:
    order: Order = place((make_product(stock=10), 1))
    wait_until_readable()
    ArchivedMonth.objects.create(month="2025-01-01", file="2025-01", rows=1, sha256="0" * 64)
    archived = UUID("01942000-0000-7000-8000-000000000000")  # of January 2025

    answer = staff.get(f"{ALL}?after={archived}")
    assert answer.status_code == 410
    assert answer.json()["code"] == "events_archived"
    oldest = answer.json()["oldest"]
    assert Event.objects.get(pk=oldest).occurred_at <= order.placed_at <= now()
    assert staff.get(f"{ALL}?after={oldest}").status_code == 200


def test_the_tables_name_the_data_of_all_types() -> None:
    table = types_as_markdown(types_for_customers())
    assert "| `order.paid` | `order_id` uuid, `number` string" in table
    assert "`amount` amount" in table
    assert set(types_for_customers()) - set(types_for_staff()) == {"notification.created"}
    assert not any(type_.startswith("user.") for type_ in types_for_staff())
