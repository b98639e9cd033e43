"""Identifiers and the times in them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from oms.core import clock
from oms.core.ids import creation_time_of, first_id_at, new_id


def test_a_new_id_lies_between_the_bounds_of_its_time() -> None:
    before = first_id_at(clock.now() - timedelta(milliseconds=1))
    id = new_id()
    after = first_id_at(clock.now() + timedelta(milliseconds=1))

    assert before < id < after


def test_a_bound_is_a_uuid_of_version_seven_for_any_time() -> None:
    for at in (
        datetime.min.replace(tzinfo=UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2026, 11, 21, 12, 30, 15, 999_999, tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
    ):
        bound = first_id_at(at)
        assert (bound.version, bound.variant) == (7, "specified in RFC 4122")
    # RFC 9562, appendix A.6: 2022-02-22 19:22:22 UTC.
    assert str(first_id_at(datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC))).startswith(
        "017f22e2-79b0-7"
    )


def test_an_id_contains_its_creation_time() -> None:
    at = datetime(2026, 11, 21, 12, 30, 15, 999_000, tzinfo=UTC)

    assert creation_time_of(first_id_at(at)) == at
    assert creation_time_of(UUID(int=2**128 - 1)).year == 9999


def test_ids_of_a_stopped_clock_are_in_order_and_of_its_moment() -> None:
    at = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
    with clock.stopped_at(at):
        ids = [new_id() for _ in range(100)]
    after = new_id()

    assert clock.now() > at
    assert ids == sorted(set(ids))
    assert {creation_time_of(id) for id in ids} == {at}
    assert {(id.version, id.variant) for id in ids} == {(7, "specified in RFC 4122")}
    assert creation_time_of(after) != at
