"""One deadline for all steps of a task."""

from __future__ import annotations

import pytest

from oms.core.deadline import deadline_in, time_left, within_deadline
from oms.core.errors import DeadlineExceeded


def test_without_a_deadline_each_step_has_its_own_limit() -> None:
    assert time_left() is None
    assert within_deadline(8) == 8


def test_a_call_gets_the_smaller_of_its_limit_and_the_time_left() -> None:
    with deadline_in(seconds=5):
        assert within_deadline(2) == 2
        assert 4 < within_deadline(8) <= 5

    assert time_left() is None


def test_an_inner_deadline_cannot_put_the_outer_one_off() -> None:
    with deadline_in(seconds=1):
        with deadline_in(seconds=60):
            assert 0 < (time_left() or 0) <= 1
        with deadline_in(seconds=0):
            assert time_left() == 0
        assert (time_left() or 0) > 0


def test_past_the_deadline_no_step_begins() -> None:
    with deadline_in(seconds=0), pytest.raises(DeadlineExceeded):
        within_deadline(8)
