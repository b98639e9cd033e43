"""The audit trail as staff read it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from oms.audit.api.filters import AuditFilters
from oms.core import clock
from oms.core.actor import Actor, ActorKind, system
from oms.core.ids import first_id_at, new_id
from oms.events.models import Event
from oms.events.partitions import make_partitions
from oms.events.publishing import publish
from oms.testing.factories import actor_for, api_client, make_customer, make_staff
from oms.testing.plans import PAGE, rows_read
from oms.users.events import UserChanged, UserRegistered

pytestmark = pytest.mark.django_db

URL = "/api/v1/admin/audit"
# Ids are of the time of the test, and entries are of about the time of their ids.
NOW = clock.now().replace(microsecond=0)


@pytest.fixture
def staff() -> APIClient:
    """A client of staff, whose own login is not in the trail."""
    client = api_client(make_staff())
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # past the guard
        cursor.execute("DELETE FROM events_event")
        cursor.execute("SET LOCAL session_replication_role = origin")
    return client


def entries(client: APIClient, **query: Any) -> list[Any]:
    response = client.get(URL, query)
    assert response.status_code == 200, response.content
    results: list[Any] = response.json()["results"]
    return results


def test_an_entry_has_the_actor_the_change_and_the_address(staff: APIClient) -> None:
    user_id, actor_id = new_id(), new_id()
    actor = Actor(
        kind=ActorKind.STAFF,
        id=actor_id,
        label="sam@example.com",
        request_id="r-1",
        ip="203.0.113.7",
    )
    with transaction.atomic():
        publish(UserChanged(user_id=user_id, changes={"phone": ["", "1234"]}), actor=actor, at=NOW)

    assert entries(staff) == [
        {
            "id": str(Event.objects.get().id),
            "actor": "sam@example.com",
            "actor_kind": "staff",
            "actor_id": str(actor_id),
            "action": "user.changed",
            "object_type": "user",
            "object_id": str(user_id),
            "changes": {"phone": ["", "1234"]},
            "request_id": "r-1",
            "ip": "203.0.113.7",
            "created_at": f"{NOW:%Y-%m-%dT%H:%M:%SZ}",
        }
    ]


def test_an_event_without_changes_shows_its_facts(staff: APIClient) -> None:
    user_id = new_id()
    with transaction.atomic():
        publish(UserRegistered(user_id=user_id, email="carla@example.com"), actor=system("tests"))

    [entry] = entries(staff)
    assert entry["changes"] == {"user_id": str(user_id), "email": "carla@example.com"}
    assert (entry["actor"], entry["actor_kind"], entry["actor_id"]) == ("tests", "system", None)
    assert (entry["request_id"], entry["ip"]) == ("", None)


def test_a_change_by_the_api_carries_request_id_and_address() -> None:
    carla = make_customer()
    client = api_client(carla)

    client.patch(
        "/api/v1/users/me",
        {"full_name": "Carla"},
        headers={"X-Request-ID": "from-the-client"},
        REMOTE_ADDR="203.0.113.9",
    )

    [entry] = entries(api_client(make_staff()), request_id="from-the-client")
    assert (entry["actor"], entry["ip"]) == (carla.email, "203.0.113.9")


def test_pages_go_from_the_newest_to_the_oldest_and_back(
    staff: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    users = [new_id() for _ in range(5)]
    with transaction.atomic():
        for user_id in users:
            publish(UserRegistered(user_id=user_id, email="x@example.com"), actor=system("tests"))

    with django_assert_num_queries(2):  # who asks, the page
        first = staff.get(URL, {"page_size": 2}).json()
    second = staff.get(first["next"]).json()
    third = staff.get(second["next"]).json()

    seen = [e["object_id"] for page in (first, second, third) for e in page["results"]]
    assert seen == [str(user_id) for user_id in reversed(users)]
    assert third["next"] is None
    assert staff.get(third["previous"]).json()["results"] == second["results"]


def test_each_filter_returns_the_matching_entries(staff: APIClient) -> None:
    carla, dora = make_customer(email="carla@example.com"), make_customer()
    with transaction.atomic():
        publish(
            UserRegistered(user_id=carla.id, email=carla.email),
            actor=replace(actor_for(carla), request_id="r-1"),
            at=NOW,
        )
        publish(
            UserChanged(user_id=dora.id, changes={"phone": ["", "1"]}),
            actor=replace(actor_for(dora), request_id="r-2"),
            at=NOW + timedelta(hours=1),
        )

    later = (NOW + timedelta(minutes=30)).isoformat()
    registered, changed = [str(carla.id)], [str(dora.id)]
    for query, expected in [
        ({"actor": str(carla.id)}, registered),
        ({"actor": "Carla@Example.com"}, registered),
        ({"actor": "nobody@example.com"}, []),
        ({"action": "user.changed"}, changed),
        ({"object_type": "user"}, changed + registered),
        ({"object_type": "order"}, []),
        ({"object_id": str(dora.id)}, changed),
        ({"request_id": "r-1"}, registered),
        ({"created_at__gte": later}, changed),
        ({"created_at__lt": later}, registered),
        ({"action": "user.changed", "actor": str(carla.id)}, []),
    ]:
        assert [e["object_id"] for e in entries(staff, **query)] == expected, query


@pytest.mark.parametrize(
    "query",
    [
        {"request_id": "r-7"},
        {"object_id": "00000000-0000-7000-8000-000000000007"},
        {"actor": "00000000-0000-7000-8000-000000000007"},
        {"actor": "Name-7@Example.com"},
    ],
)
def test_a_filter_finds_its_entries_in_their_order_by_an_index(query: dict[str, str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events_event (id, type, object_type, object_id, data, actor_kind,"
            " actor_id, actor_label, request_id, occurred_at)"
            " SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - n), 12, '0')"
            " || '70008000' || lpad(to_hex(n), 12, '0'))::uuid, 'user.changed', 'user',"
            " ('00000000-0000-7000-8000-' || lpad((n % 100)::text, 12, '0'))::uuid, '{}', 'staff',"
            " ('00000000-0000-7000-8000-' || lpad((n % 100)::text, 12, '0'))::uuid,"
            " 'name-' || n % 100 || '@example.com', 'r-' || n % 5000, now()"
            " FROM generate_series(1, 20000) AS n"
        )
        cursor.execute("ANALYZE events_event")
    found = AuditFilters(query, queryset=Event.objects.all()).qs

    for page in (found, found.filter(id__lt=first_id_at(clock.now()))):
        rows, read = rows_read(page, order="-id")
        assert rows == (4 if "request_id" in query else PAGE)
        assert read <= PAGE


@pytest.mark.parametrize("query", [{"action": "user.registered"}, {"object_type": "user"}])
def test_months_without_a_kind_of_event_are_not_scanned(query: dict[str, str]) -> None:
    now, before = clock.now(), clock.now() - timedelta(days=70)
    make_partitions(first=before, last=now)
    with connection.cursor() as cursor:
        for type_, moment, events in (
            ("user.registered", before, 500),
            ("product.changed", now, 20_000),
        ):
            cursor.execute(
                "INSERT INTO events_event (id, type, object_type, object_id, data, actor_kind,"
                " actor_label, request_id, occurred_at)"
                " SELECT (left(%s, 24) || lpad(to_hex(n), 12, '0'))::uuid, %s, %s,"
                " gen_random_uuid(), '{}', 'staff', 'x', '', %s FROM generate_series(1, %s) AS n",
                [str(first_id_at(moment)), type_, type_.split(".")[0], moment, events],
            )
        cursor.execute("ANALYZE events_event")

    rows, read = rows_read(AuditFilters(query, queryset=Event.objects.all()).qs, order="-id")

    assert rows == PAGE
    assert read <= 500


@pytest.mark.parametrize(
    ("query", "parameter", "code"),
    [
        ({"actro": "x"}, "actro", "unknown_parameter"),
        ({"object_id": "5"}, "object_id", "no_uuid"),
        ({"created_at__gte": "yesterday"}, "created_at__gte", "no_instant"),
        ({"action": ""}, "action", "blank"),
        ({"cursor": "x"}, "cursor", "invalid_cursor"),
        ({"page_size": "201"}, "page_size", "out_of_range"),
    ],
)
def test_a_bad_query_is_refused_by_name(
    staff: APIClient, query: dict[str, str], parameter: str, code: str
) -> None:
    response = staff.get(URL, query)

    assert response.status_code == 400
    [error] = response.json()["errors"]
    assert (error["parameter"], error["code"]) == (parameter, code)


def test_only_staff_read_it() -> None:
    assert api_client().get(URL).status_code == 401
    assert api_client(make_customer()).get(URL).status_code == 403


def test_it_is_read_only(staff: APIClient) -> None:
    for method in ("post", "put", "patch", "delete"):
        assert getattr(staff, method)(URL, {}).status_code == 405
