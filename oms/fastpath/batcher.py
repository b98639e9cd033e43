"""Gathering concurrent calls: one thread works off whatever has come meanwhile, all at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger(__name__)

Call = TypeVar("Call")
Answer = TypeVar("Answer")


class Batcher(Generic[Call, Answer]):
    """Runs `work` over batches of calls, on a thread of its own.

    A call that finds the thread idle is worked off at once and alone; those that come while it is
    busy wait for each other, and for nothing else. So batches grow with the load by themselves.
    `work` returns one answer for each call, in their order. A batch is full once the weights of its
    calls reach `limit`. A batch is gathered and worked off within a `turn`. Between two batches
    `pause` seconds pass, for calls that nobody is waiting for.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Call]], Sequence[Answer]],
        *,
        name: str,
        limit: int,
        weight: Callable[[Call], int] = lambda _: 1,
        turn: Callable[[], AbstractContextManager[None]] = nullcontext,
        pause: float = 0.0,
    ) -> None:
        self._turn, self._pause = turn, pause
        self._work, self._limit, self._weight = work, limit, weight
        self._waiting: SimpleQueue[tuple[Call, asyncio.Future[Answer]] | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def submit(self, call: Call) -> asyncio.Future[Answer]:
        """What will be the answer to `call`; it raises what `work` raised for its batch."""
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._waiting.put((call, future))
        return future

    async def close(self) -> None:
        """Work off what was submitted, and end the thread."""
        self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            answers: Sequence[Answer] | BaseException
            with self._turn():
                batch, is_last = self._gathered(first)
                calls = [call for call, _ in batch]
                try:
                    answers = self._work(calls)
                    if len(answers) != len(calls):
                        raise ValueError(f"{len(answers)} answers to {len(calls)} calls.")
                except Exception as error:  # it belongs to those who wait for the answers
                    answers = error
            self._loop.call_soon_threadsafe(_resolve, [future for _, future in batch], answers)
            if is_last:
                return
            if self._pause:
                time.sleep(self._pause)

    def _gathered(
        self, first: tuple[Call, asyncio.Future[Answer]]
    ) -> tuple[list[tuple[Call, asyncio.Future[Answer]]], bool]:
        batch, weight = [first], self._weight(first[0])
        while weight < self._limit:
            try:
                more = self._waiting.get_nowait()
            except Empty:
                break
            if more is None:
                return batch, True
            batch.append(more)
            weight += self._weight(more[0])
        return batch, False


def _resolve(
    futures: Sequence[asyncio.Future[Answer]], answers: Sequence[Answer] | BaseException
) -> None:
    for number, future in enumerate(futures):
        if future.done():  # whoever waited has gone
            continue
        if isinstance(answers, BaseException):
            future.set_exception(answers)
        else:
            future.set_result(answers[number])
