"""The log itself: events as data and back, and rows that stay."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db import DatabaseError, connection, transaction

from inventory.events import ProductChanged
from oms.core.actor import system
from oms.core.ids import new_id
from oms.events.models import Event
from oms.events.publishing import publish, publish_all
from oms.events.types import DomainEvent, decode, encode, event, event_types
from oms.users.events import UserChanged, UserRegistered


def registered() -> UserRegistered:
    return UserRegistered(user_id=new_id(), email="carla@example.com")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events_event SET actor_label = 'somebody else'",
        "DELETE FROM events_event",
        "TRUNCATE events_event CASCADE",
    ],
)
def test_the_log_is_append_only(statement: str) -> None:
    with transaction.atomic():
        publish(registered(), actor=system("tests"))
    before = list(Event.objects.values())

    with (
        pytest.raises(DatabaseError, match=r"events_event(_\d{4}_\d\d)? is append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)

    assert list(Event.objects.values()) == before


@pytest.mark.django_db
def test_a_published_event_is_read_unchanged() -> None:
    facts = [registered(), UserChanged(user_id=new_id(), changes={"phone": ["", "1"]})]

    with transaction.atomic():
        publish(*facts, actor=system("tests"))

    events = Event.objects.order_by("position")
    assert [decode(e.type, e.data) for e in events] == facts
    assert [e.object_id for e in events] == [fact.object_id for fact in facts]


@pytest.mark.django_db
def test_many_events_take_one_statement(django_assert_num_queries: Any) -> None:
    with transaction.atomic(), django_assert_num_queries(1):
        publish_all([(registered(), system("tests")) for _ in range(50)])
    with transaction.atomic(), django_assert_num_queries(0):
        publish_all([])


@pytest.mark.django_db(transaction=True)
def test_an_event_carries_the_number_of_its_transaction() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text")
        number = cursor.fetchone()[0]
        publish(registered(), registered(), actor=system("tests"))

    assert {str(e.transaction) for e in Event.objects.all()} == {number}


def test_data_of_events_are_json() -> None:
    product_id = new_id()
    change = ProductChanged(
        product_id=product_id, sku="A", changes={"price": [Decimal("1.00"), Decimal("2.50")]}
    )

    data = encode(change)

    assert data == {
        "product_id": str(product_id),
        "sku": "A",
        "changes": {"price": ["1.00", "2.50"]},
    }
    assert decode("product.changed", data).object_id == product_id


def test_an_unknown_type_cannot_be_read() -> None:
    with pytest.raises(KeyError):
        decode("user.vanished", {})


def test_a_type_names_one_class_whose_object_it_can_find() -> None:
    assert event_types()["user.registered"] is UserRegistered

    class Nameless(DomainEvent):
        thing_id: UUID

    with pytest.raises(TypeError, match=r"Two events are called user\.registered"):
        event("user.registered")(UserRegistered)
    with pytest.raises(TypeError, match="has no field user_id"):
        event("user.vanished")(Nameless)
    assert "user.vanished" not in event_types()
