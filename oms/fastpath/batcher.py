"""Batching of concurrent calls: one thread answers all waiting calls at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

import structlog

from oms.core.errors import Unavailable
from oms.fastpath.connections import ThreadConnection
from oms.fastpath.process_lock import HeldLock, ProcessLock

log = structlog.get_logger(__name__)

Call = TypeVar("Call")
Answer = TypeVar("Answer")
Entry = tuple[Call, "asyncio.Future[Answer]"]


class BatchStalled(Unavailable):
    """The request could not be answered in time; try again shortly."""


class _Worker(Generic[Call, Answer]):
    """A thread of a batcher, with the batch that it is working on."""

    def __init__(self) -> None:
        self.batch: list[Entry[Call, Answer]] = []
        # On the clock of time.monotonic; None while it waits for calls.
        self.busy_since: float | None = None
        self.is_last = False
        self.connection: ThreadConnection | None = None


class Batcher(Generic[Call, Answer]):
    """Runs `work` over batches of calls, on a thread of its own.

    A call that finds the thread idle is answered at once and alone; those that arrive
    while it is busy form the next batch. So batches grow with the load.
    `work` returns one answer for each call, in their order. A batch is full once the weights of its
    calls reach `limit`. With a `lock` a batch is gathered and answered while it is held. `pause`
    seconds pass between two batches, for calls that can wait.

    A batch that takes longer than `deadline` seconds, such as with a database that hangs, fails
    with BatchStalled; its thread's connection is cut, and another thread takes over.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Call], HeldLock | None], Sequence[Answer]],
        *,
        name: str,
        limit: int,
        deadline: float,
        weight: Callable[[Call], int] = lambda _: 1,
        lock: ProcessLock | None = None,
        pause: float = 0.0,
    ) -> None:
        self._work, self._name, self._limit, self._weight = work, name, limit, weight
        self._lock, self._deadline, self._pause = lock, deadline, pause
        self._waiting: SimpleQueue[Entry[Call, Answer] | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._start_worker()
        self._watch = self._loop.call_later(deadline / 8, self._check)

    def submit(self, call: Call) -> asyncio.Future[Answer]:
        """The future answer to `call`; it raises what `work` raised for its batch."""
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._waiting.put((call, future))
        return future

    def busy_seconds(self) -> float:
        """For how long the thread has been working on its batch; 0 if it is idle."""
        since = self._worker.busy_since
        return 0.0 if since is None else time.monotonic() - since

    async def close(self) -> None:
        """Answer what was submitted, and end the thread."""
        self._waiting.put(None)
        while self._thread.is_alive():  # the watch may put another one in its place
            await asyncio.to_thread(self._thread.join, self._deadline / 8)
        self._watch.cancel()

    def _start_worker(self) -> None:
        self._worker: _Worker[Call, Answer] = _Worker()
        self._thread = Thread(target=self._run, args=(self._worker,), name=self._name, daemon=True)
        self._thread.start()

    def _check(self) -> None:
        """On the loop: replace a thread that makes no progress."""
        self._watch = self._loop.call_later(self._deadline / 8, self._check)
        worker = self._worker
        if self.busy_seconds() < self._deadline:
            return
        log.error("batch_stalled", batcher=self._name, calls=len(worker.batch))
        self._start_worker()
        if worker.connection is not None:
            worker.connection.cut()
        if worker.is_last:
            self._waiting.put(None)  # for the thread that takes over
        _resolve([future for _, future in worker.batch], BatchStalled())

    def _run(self, worker: _Worker[Call, Answer]) -> None:
        worker.connection = ThreadConnection()
        while worker is self._worker and (first := self._waiting.get()) is not None:
            worker.busy_since = time.monotonic()
            if self._lock is None:
                self._answer(worker, first, None)
            else:
                with self._lock.hold() as held:
                    self._answer(worker, first, held)
            worker.busy_since, worker.batch = None, []
            if worker.is_last:
                break
            if self._pause:
                time.sleep(self._pause)
        worker.connection.close()

    def _answer(
        self, worker: _Worker[Call, Answer], first: Entry[Call, Answer], held: HeldLock | None
    ) -> None:
        self._gather(worker, first)
        calls = [call for call, _ in worker.batch]
        answers: Sequence[Answer] | BaseException
        try:
            answers = self._work(calls, held)
            if len(answers) != len(calls):
                raise ValueError(f"{len(answers)} answers to {len(calls)} calls.")
        except Exception as error:  # it belongs to those who wait for the answers
            answers = error
        if worker is self._worker:  # else the callers have got BatchStalled
            futures = [future for _, future in worker.batch]
            self._loop.call_soon_threadsafe(_resolve, futures, answers)

    def _gather(self, worker: _Worker[Call, Answer], first: Entry[Call, Answer]) -> None:
        worker.batch, weight = [first], self._weight(first[0])
        while weight < self._limit:
            try:
                more = self._waiting.get_nowait()
            except Empty:
                break
            if more is None:
                worker.is_last = True
                return
            worker.batch.append(more)
            weight += self._weight(more[0])


def _resolve(
    futures: Sequence[asyncio.Future[Answer]], answers: Sequence[Answer] | BaseException
) -> None:
    for number, future in enumerate(futures):
        if future.done():  # its client has gone, or has got BatchStalled
            continue
        if isinstance(answers, BaseException):
            future.set_exception(answers)
        else:
            future.set_result(answers[number])
