"""Creating and changing locations."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection

from inventory.errors import CodeTaken, NoDefaultLocation
from inventory.models import Location
from inventory.operations.locations import change_location, create_location
from oms.core.actor import system
from oms.core.errors import NotFound
from oms.core.ids import new_id
from oms.testing.factories import make_location
from oms.testing.threads import at_once

ACTOR = system("tests")


def defaults() -> list[str]:
    return list(Location.objects.filter(is_default=True).values_list("code", flat=True))


@pytest.mark.django_db
def test_a_new_default_replaces_the_previous_one() -> None:
    make_location(code="main", is_default=True)

    create_location(actor=ACTOR, code="store", name="Store", is_default=True)

    assert defaults() == ["store"]


@pytest.mark.django_db
def test_there_is_always_a_default_location() -> None:
    main = make_location(code="main", is_default=True)

    with pytest.raises(NoDefaultLocation):
        change_location(actor=ACTOR, location_id=main.id, values={"is_default": False})

    assert defaults() == ["main"]


@pytest.mark.django_db
def test_codes_are_unique() -> None:
    make_location(code="main")
    store = make_location(code="store")

    with pytest.raises(CodeTaken):
        create_location(actor=ACTOR, code="main", name="Another")
    with pytest.raises(CodeTaken):
        change_location(actor=ACTOR, location_id=store.id, values={"code": "main"})


@pytest.mark.django_db
def test_an_unknown_location_is_not_found() -> None:
    with pytest.raises(NotFound):
        change_location(actor=ACTOR, location_id=new_id(), values={"name": "x"})


@pytest.mark.django_db(transaction=True)
def test_of_two_concurrent_new_defaults_one_remains_the_default() -> None:
    make_location(code="main", is_default=True)
    both_ready = threading.Barrier(2)

    def create(code: str) -> Location:
        waited = False

        def wait_once(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            """Wait before the first UPDATE; the transaction that fails retries alone."""
            nonlocal waited
            if sql.startswith("UPDATE") and not waited:
                waited = True
                both_ready.wait(timeout=10)
            return execute(sql, params, many, context)

        with connection.execute_wrapper(wait_once):
            return create_location(actor=ACTOR, code=code, name=code, is_default=True)

    at_once(lambda: create("east"), lambda: create("west"))

    assert Location.objects.count() == 3
    assert len(defaults()) == 1
    assert defaults() != ["main"]
