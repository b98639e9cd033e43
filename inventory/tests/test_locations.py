"""Adding and changing locations."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from inventory.errors import CodeTaken, NoDefaultLocation
from inventory.models import Location
from inventory.operations import locations
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
def test_a_new_default_takes_over_from_the_one_before() -> None:
    make_location(code="main", is_default=True)

    create_location(actor=ACTOR, code="store", name="Store", is_default=True)

    assert defaults() == ["store"]


@pytest.mark.django_db
def test_the_default_is_not_taken_away_without_another() -> None:
    main = make_location(code="main", is_default=True)

    with pytest.raises(NoDefaultLocation):
        change_location(actor=ACTOR, location_id=main.id, values={"is_default": False})

    assert defaults() == ["main"]


@pytest.mark.django_db
def test_a_code_is_had_once() -> None:
    make_location(code="main")
    store = make_location(code="store")

    with pytest.raises(CodeTaken):
        create_location(actor=ACTOR, code="main", name="Another")
    with pytest.raises(CodeTaken):
        change_location(actor=ACTOR, location_id=store.id, values={"code": "main"})


@pytest.mark.django_db
def test_a_location_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound):
        change_location(actor=ACTOR, location_id=new_id(), values={"name": "x"})


@pytest.mark.django_db(transaction=True)
def test_of_two_new_defaults_at_once_one_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    make_location(code="main", is_default=True)
    both_taken = threading.Barrier(2)
    take = locations._take_default
    first = threading.local()

    def when_both_want_it(*args: Any) -> None:
        # At the first attempt of each; the one that is refused begins again alone.
        if not getattr(first, "done", False):
            first.done = True
            both_taken.wait(timeout=10)
        take(*args)

    monkeypatch.setattr(locations, "_take_default", when_both_want_it)

    at_once(
        lambda: create_location(actor=ACTOR, code="east", name="East", is_default=True),
        lambda: create_location(actor=ACTOR, code="west", name="West", is_default=True),
    )

    assert Location.objects.count() == 3
    assert len(defaults()) == 1
    assert defaults() != ["main"]
