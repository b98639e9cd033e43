"""Batching: batches grow with the load, and no answer is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from threading import Event, get_ident
from threading import enumerate as enumerate_threads
from typing import Any

import pytest

from oms.fastpath.batcher import Batcher, BatchStalled
from oms.fastpath.process_lock import HeldLock, ProcessLock
from oms.fastpath.wakeups import WakeUpSender

_SECONDS = 10.0


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run the test in an event loop, for no longer than `_SECONDS`."""
    asyncio.run(asyncio.wait_for(test, _SECONDS))


def started(work: Any, **options: Any) -> Batcher[int, int]:
    return Batcher(work, **{"name": "tests", "deadline": _SECONDS, **options})


class Work:
    """Doubles numbers once `go_on` is set; notes the batches and their threads."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun, self.go_on = Event(), Event()
        self.threads: set[int] = set()

    def __call__(self, calls: Sequence[int], lock: HeldLock | None) -> list[int]:
        self.batches.append(list(calls))
        self.threads.add(get_ident())
        self.begun.set()
        assert self.go_on.wait(_SECONDS)
        if -1 in calls:
            raise ValueError(calls)
        return [2 * call for call in calls]


def test_calls_while_another_process_holds_the_lock_are_answered_together(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        work = Work()
        work.go_on.set()
        with ProcessLock(tmp_path).hold():
            batcher = started(work, limit=9, lock=ProcessLock(tmp_path))
            calls = [batcher.submit(number) for number in range(3)]
            await asyncio.sleep(0.05)
            assert work.batches == []
        assert await asyncio.gather(*calls) == [0, 2, 4]
        assert work.batches == [[0, 1, 2]]
        await batcher.close()

    run(test())


def test_calls_while_the_thread_is_busy_are_answered_together() -> None:
    async def test() -> None:
        work = Work()
        batcher = started(work, limit=3)
        first = batcher.submit(0)
        await asyncio.to_thread(work.begun.wait, _SECONDS)
        others = [batcher.submit(number) for number in range(1, 6)]
        work.go_on.set()

        assert await asyncio.gather(first, *others) == [0, 2, 4, 6, 8, 10]
        # The first did not wait for others, and no batch passed the limit.
        assert work.batches == [[0], [1, 2, 3], [4, 5]]
        assert len(work.threads) == 1
        assert work.threads != {get_ident()}
        await batcher.close()

    run(test())


def test_calls_that_arrive_in_a_pause_are_answered_together() -> None:
    async def test() -> None:
        work = Work()
        work.go_on.set()
        batcher = started(work, limit=9, pause=0.3)
        assert await batcher.submit(0) == 0
        others = []
        for number in range(1, 4):
            others.append(batcher.submit(number))
            await asyncio.sleep(0.01)

        assert await asyncio.gather(*others) == [2, 4, 6]
        assert work.batches == [[0], [1, 2, 3]]
        await batcher.close()

    run(test())


def test_a_heavy_call_fills_a_batch() -> None:
    async def test() -> None:
        work = Work()
        batcher = started(work, limit=10, weight=lambda call: call)
        first = batcher.submit(1)
        await asyncio.to_thread(work.begun.wait, _SECONDS)
        others = [batcher.submit(number) for number in (4, 500, 1, 1)]
        work.go_on.set()

        await asyncio.gather(first, *others)
        assert work.batches == [[1], [4, 500], [1, 1]]
        await batcher.close()

    run(test())


def test_an_error_affects_only_its_batch_and_the_thread_continues() -> None:
    async def test() -> None:
        work = Work()
        work.go_on.set()
        batcher = started(work, limit=1)
        outcomes = await asyncio.gather(
            *[batcher.submit(number) for number in (1, -1, 2)], return_exceptions=True
        )

        assert [outcomes[0], outcomes[2]] == [2, 4]
        assert isinstance(outcomes[1], ValueError)
        await batcher.close()

    run(test())


def test_too_few_answers_fail_the_batch() -> None:
    async def test() -> None:
        def forgetful(calls: Sequence[int], lock: HeldLock | None) -> list[int]:
            return []

        batcher = started(forgetful, limit=5)
        with pytest.raises(ValueError, match="answers"):
            await batcher.submit(1)
        await batcher.close()

    run(test())


def test_a_cancelled_call_does_not_affect_the_others() -> None:
    async def test() -> None:
        work = Work()
        batcher = started(work, limit=5)
        gone, stays = batcher.submit(1), batcher.submit(2)
        await asyncio.to_thread(work.begun.wait, _SECONDS)
        gone.cancel()
        work.go_on.set()

        assert await stays == 4
        await batcher.close()

    run(test())


def test_closing_answers_submitted_calls() -> None:
    async def test() -> None:
        work = Work()
        batcher = started(work, limit=2)
        futures = [batcher.submit(number) for number in range(7)]
        asyncio.get_running_loop().call_later(0.05, work.go_on.set)

        await batcher.close()
        await asyncio.sleep(0)

        assert [future.result() for future in futures] == [0, 2, 4, 6, 8, 10, 12]
        assert not [thread for thread in enumerate_threads() if thread.name == "tests"]

    run(test())


def test_a_batch_that_stalls_fails_its_callers_and_another_thread_takes_over() -> None:
    async def test() -> None:
        work = Work()
        batcher = started(work, limit=1, deadline=0.4)
        stalled, waiting = batcher.submit(1), batcher.submit(2)
        await asyncio.to_thread(work.begun.wait, _SECONDS)
        assert batcher.busy_seconds() < 0.4

        began = time.monotonic()
        with pytest.raises(BatchStalled):
            await stalled
        assert 0.2 < time.monotonic() - began < 2
        work.go_on.set()

        assert await waiting == 4
        assert await batcher.submit(3) == 6
        assert len(work.threads) == 2
        await batcher.close()

    run(test())


def test_closing_waits_for_no_thread_that_stalls() -> None:
    async def test() -> None:
        work = Work()
        batcher = started(work, limit=5, deadline=0.2)
        stalled = batcher.submit(1)
        await asyncio.to_thread(work.begun.wait, _SECONDS)

        await batcher.close()

        with pytest.raises(BatchStalled):
            await stalled
        work.go_on.set()

    run(test())


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_concurrent_wake_ups_are_sent_as_one() -> None:
    woken: list[str] = []
    sender = WakeUpSender(woken.append)
    sender.wake("a")
    wait_until(lambda: woken == ["a"])
    for _ in range(100):  # while it pauses
        sender.wake("a")
        sender.wake("b")
    sender.close()

    assert sorted(woken) == ["a", "a", "b"]


def test_closing_the_sender_sends_pending_wake_ups() -> None:
    woken: list[str] = []
    sender = WakeUpSender(woken.append)
    sender.wake("a")
    sender.close()

    assert woken == ["a"]


def test_the_sender_survives_failures() -> None:
    woken: list[str] = []

    def send(task: str) -> None:
        if task == "bad":
            raise RuntimeError(task)
        woken.append(task)

    sender = WakeUpSender(send)
    sender.wake("bad")
    sender.wake("good")
    wait_until(lambda: woken == ["good"])
    sender.close()
