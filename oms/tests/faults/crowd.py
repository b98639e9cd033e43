"""Calls of any kind at the same moment, by one event loop: cheaper than a thread for each."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp

from oms.tests.faults.clients import Buyers, Call, Reply, is_temporary
from oms.tests.faults.shop import Shop

T = TypeVar("T")

_TIMEOUT = aiohttp.ClientTimeout(total=30)
# A careful client repeats what has no definite answer so often, with the same key.
_REPEATS, _PAUSE = 20, 0.25


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the shop answered; the status is 0 if it did not."""

    status: int
    body: Any = None
    retry_after: bool = False
    replayed: bool = False

    @property
    def code(self) -> str:
        """The problem's code; "" if it is none."""
        return str(self.body.get("code", "")) if isinstance(self.body, dict) else ""


class Caller:
    """Calls one shop."""

    def __init__(self, shop: Shop, session: aiohttp.ClientSession) -> None:
        self._url = f"{shop.url}/api/v1"
        self._session = session

    async def call(
        self, method: str, path: str, *, token: str, body: Any = None, key: str | None = None
    ) -> Answer:
        """One call, tried once."""
        headers = {"Authorization": f"Bearer {token}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        try:
            async with self._session.request(
                method, f"{self._url}{path}", json=body, headers=headers
            ) as response:
                is_json = response.content_type.endswith("json")
                return Answer(
                    status=response.status,
                    body=await response.json(content_type=None) if is_json else None,
                    retry_after="Retry-After" in response.headers,
                    replayed="Idempotent-Replayed" in response.headers,
                )
        except (aiohttp.ClientError, TimeoutError):
            return Answer(status=0)

    async def settle(self, method: str, path: str, *, token: str, body: Any = None) -> Answer:
        """The same call under one key until it is answered definitely."""
        key = str(uuid.uuid4())
        for _ in range(_REPEATS):
            answer = await self.call(method, path, token=token, body=body, key=key)
            if 0 < answer.status < 500 and not is_temporary(answer.status, answer.body):
                break
            await asyncio.sleep(_PAUSE)
        return answer

    async def place(self, buyers: Buyers, body: dict[str, Any], *, token: str) -> Call:
        """Place an order, once, under a key of its own, and record what came of it."""
        key = str(uuid.uuid4())
        call = Call(key=key, body={**body, "note": key}, token=token, sent=time.monotonic())
        answer = await self.call("POST", "/orders", token=token, body=call.body, key=key)
        if answer.status:
            call.answered(answer.status, answer.body, retry_after=answer.retry_after)
        call.seconds = time.monotonic() - call.sent
        buyers.record.calls.append(call)
        return call


def at_once(
    shop: Shop, works: Iterable[Callable[[Caller], Awaitable[T]]], *, limit: int = 100
) -> list[T]:
    """The results of `works`, in their order, with at most `limit` connections at a time."""

    async def run() -> list[T]:
        connector = aiohttp.TCPConnector(limit=limit)
        async with aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT) as session:
            caller = Caller(shop, session)
            return list(await asyncio.gather(*[work(caller) for work in works]))

    return asyncio.run(run())


def place_many(shop: Shop, buyers: Buyers, bodies: Sequence[dict[str, Any]]) -> list[Call]:
    """Place the orders, a hundred in a call; those that were accepted."""
    tokens = buyers.tokens()
    placed: list[Call] = []

    def place(number: int) -> Callable[[Caller], Awaitable[Answer]]:
        token = tokens[number // _BULK % len(tokens)]
        calls = [
            Call(key=key, body={**body, "note": key}, token=token, sent=time.monotonic())
            for body in bodies[number : number + _BULK]
            for key in [str(uuid.uuid4())]
        ]

        async def work(caller: Caller) -> Answer:
            orders = {"orders": [call.body for call in calls]}
            answer = await caller.settle("POST", "/orders/bulk", token=token, body=orders)
            if answer.status != 207:
                return answer
            for call, result in zip(calls, answer.body["results"], strict=True):
                body = result.get("order", result.get("problem"))
                call.answered(result["status"], body, retry_after=False)
            buyers.record.calls.extend(calls)
            placed.extend(call for call in calls if call.reply is Reply.OK)
            return answer

        return work

    answers = at_once(shop, [place(number) for number in range(0, len(bodies), _BULK)], limit=4)
    if refused := [answer for answer in answers if answer.status != 207]:
        raise RuntimeError(f"Bulk orders were refused: {refused[0]}")
    return placed


_BULK = 100
