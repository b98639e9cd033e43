"""Workers that process until nothing is due, and the messages that this saves."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import patch

import pytest

from oms.queue.leases import process_due_work
from oms.queue.wakeups import release_wakeups, wake, wakeups_held

TASK = "tests.drain"


@pytest.fixture
def sent() -> Iterator[list[str]]:
    """The tasks for which a message was sent."""
    tasks: list[str] = []
    release_wakeups(TASK)
    with patch("oms.queue.wakeups.current_app.send_task", tasks.append):
        yield tasks
    release_wakeups(TASK)


def test_a_worker_continues_until_nothing_is_left(sent: list[str]) -> None:
    left = [3, 2, 1, 0, 0]

    assert process_due_work(TASK, lambda: left.pop(0), seconds=5) == 6

    assert left == []
    assert sent == []


def test_no_message_is_sent_while_a_worker_will_look_again(sent: list[str]) -> None:
    looks = 0

    def step() -> int:
        nonlocal looks
        looks += 1
        if looks == 2:
            assert wakeups_held(TASK)
            wake(TASK)
            assert sent == []
        return 1 if looks < 3 else 0

    process_due_work(TASK, step, seconds=5)

    assert not wakeups_held(TASK)


def test_work_added_during_the_final_poll_sends_a_message(sent: list[str]) -> None:
    looks = 0

    def step() -> int:
        nonlocal looks
        looks += 1
        if looks == 3:  # the second in vain, the last one
            wake(TASK)
        return 1 if looks == 1 else 0

    process_due_work(TASK, step, seconds=5)

    assert looks == 3
    assert sent == [TASK]


def test_work_added_before_the_final_poll_is_found_by_it(sent: list[str]) -> None:
    found = [1, 0, 1, 0, 0]

    assert process_due_work(TASK, lambda: found.pop(0), seconds=5) == 2
    assert found == []


def test_a_backlog_wakes_one_more_worker(sent: list[str]) -> None:
    left = [9, 10, 10, 10, 0, 0]

    process_due_work(TASK, lambda: left.pop(0), seconds=5, full=10)

    assert sent == [TASK]


def test_a_second_worker_that_was_woken_does_not_find_wakeups_held(sent: list[str]) -> None:
    seen: list[bool] = []

    def step() -> int:
        seen.append(wakeups_held(TASK))
        return 10 if len(seen) == 1 else 0

    process_due_work(TASK, step, seconds=5, full=10)

    assert seen == [False, False, False]


def test_a_worker_whose_steps_are_full_holds_no_wakeups_back(
    sent: list[str],
) -> None:
    seen: list[bool] = []

    def step() -> int:
        seen.append(wakeups_held(TASK))
        return 10 if len(seen) < 4 else 0

    process_due_work(TASK, step, seconds=5, full=10)

    assert seen == [False] * 5
    assert sent == [TASK]


def test_a_worker_that_fails_holds_no_messages_back(sent: list[str]) -> None:
    left = [1, 0]

    with pytest.raises(ZeroDivisionError):
        process_due_work(TASK, lambda: 1 // left.pop(0), seconds=5)

    assert not wakeups_held(TASK)
    wake(TASK)
    assert sent == [TASK]


def test_a_worker_whose_time_is_up_wakes_another(sent: list[str]) -> None:
    assert process_due_work(TASK, lambda: 1, seconds=0) == 1

    assert sent == [TASK]


def test_later_steps_wait_for_work_to_gather_and_the_first_one_does_not(sent: list[str]) -> None:
    left = [1, 1, 0, 0]
    slept: list[float] = []

    with patch("oms.queue.leases.time.sleep", slept.append):
        process_due_work(TASK, lambda: left.pop(0), seconds=5, pause=0.5)

    assert len(slept) == 2
    assert all(0.3 < pause <= 0.5 for pause in slept)
