"""What the provider does with each call: its API, apart from how the calls arrive.

All but GET /health want `Authorization: Bearer <key>`, and writes an `Idempotency-Key`. The same
key with the same body gives the same object again; keys of charges, captures, voids and refunds are
counted apart.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from payments.sandbox.errors import Refusal
from payments.sandbox.faults import Fault, Faults
from payments.sandbox.ledger import Ledger
from payments.sandbox.objects import Object
from payments.sandbox.request_parsing import ChargeRequest, Request, hundredths, text
from payments.sandbox.tokens import TOKENS, Behaviour

_PAGE = 100
_LONGEST_PAGE = 1000
# How long, in seconds, a write waits for others.
_GATHERING = 0.002

# What a write gives: the object, and whether it was made now.
Written: TypeAlias = tuple[Object, bool]


class Fate(StrEnum):
    """What becomes of an answer."""

    SENT = "sent"
    HELD = "held"  # the connection stays open without an answer, and is then closed
    LOST = "lost"  # the connection is closed without an answer


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A status and a JSON body, and whether the caller gets to see them."""

    status: int
    body: Object
    headers: dict[str, str] = field(default_factory=dict)
    fate: Fate = Fate.SENT


def refused(refusal: Refusal) -> Answer:
    """The answer that says what was refused, and why."""
    return Answer(
        status=refusal.status, body={"error": {"code": refusal.code, "message": refusal.message}}
    )


class _Writes:
    """Writes of concurrent calls, gathered for a moment and committed together."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: list[tuple[Callable[[], Written], asyncio.Future[Written]]] = []

    def do(self, write: Callable[[], Written]) -> asyncio.Future[Written]:
        """What `write` gives or raises, once that is committed."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Written] = loop.create_future()
        self._waiting.append((write, future))
        if len(self._waiting) == 1:
            loop.call_later(_GATHERING, self._commit)
        return future

    def _commit(self) -> None:
        waiting, self._waiting = self._waiting, []
        ended: list[tuple[asyncio.Future[Written], Written | Exception]] = []
        try:
            with self._ledger.together():
                for write, future in waiting:
                    try:
                        ended.append((future, write()))
                    except Refusal as refusal:
                        ended.append((future, refusal))
        except Exception as error:  # none of them is committed; each caller gets a 500
            ended = [(future, error) for _, future in waiting]
        for future, result in ended:
            if future.cancelled():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)


class Provider:
    """The provider on one ledger. `slow_seconds` is how late slow answers are."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        api_key: str,
        faults: Faults | None = None,
        slow_seconds: float = 3.0,
    ) -> None:
        self._ledger = ledger
        self._writes = _Writes(ledger)
        self._api_key = api_key
        self._faults = faults or Faults()
        self._slow_seconds = slow_seconds
        self._routes: list[
            tuple[str, re.Pattern[str], Callable[..., Answer | Awaitable[Answer]]]
        ] = [
            ("GET", re.compile(r"/health"), self._health),
            ("POST", re.compile(r"/v1/charges"), self._create_charge),
            ("GET", re.compile(r"/v1/charges"), self._find_charges),
            ("GET", re.compile(r"/v1/charges/(?P<charge_id>\w+)"), self._show_charge),
            ("POST", re.compile(r"/v1/charges/(?P<charge_id>\w+)/capture"), self._capture),
            ("POST", re.compile(r"/v1/charges/(?P<charge_id>\w+)/void"), self._void),
            ("POST", re.compile(r"/v1/refunds"), self._create_refund),
            ("GET", re.compile(r"/v1/refunds"), self._find_refunds),
            ("GET", re.compile(r"/v1/ledger"), self._show_ledger),
        ]

    async def answer(self, request: Request) -> Answer:
        """The answer to `request`; takes as long as slow tokens and faults make it."""
        try:
            answer = self._dispatch(request)
            return answer if isinstance(answer, Answer) else await answer
        except Refusal as refusal:
            return refused(refusal)

    def _dispatch(self, request: Request) -> Answer | Awaitable[Answer]:
        if request.path != "/health":
            self._authenticate(request)
        found = False
        for method, path, view in self._routes:
            if match := path.fullmatch(request.path):
                found = True
                if method == request.method:
                    return view(request, **match.groupdict())
        if found:
            raise Refusal(405, "method_not_allowed", "Not with this method.")
        raise Refusal(404, "not_found", "There is nothing at this path.")

    def _authenticate(self, request: Request) -> None:
        said = request.headers.get("authorization", "").encode("utf-8", "replace")
        if not hmac.compare_digest(said, f"Bearer {self._api_key}".encode()):
            raise Refusal(401, "unauthorized", "The API key is missing or wrong.")

    # --- Writes -----------------------------------------------------------------------------------

    def _create_charge(self, request: Request) -> Awaitable[Answer]:
        wanted = ChargeRequest.read(request.members())
        behaviour = TOKENS.get(wanted.token)
        if behaviour is None:
            raise Refusal(400, "unknown_token", "There is no such token.")
        return self._write(
            request,
            kind="charge",
            behaviour=behaviour,
            find=self._ledger.charge_with_key,
            record=lambda **write: self._ledger.record_charge(request=wanted, **write),
        )

    def _capture(self, request: Request, charge_id: str) -> Awaitable[Answer]:
        members = request.members()
        amount = hundredths(members) if "amount" in members else None
        return self._settle(request, kind="capture", charge_id=charge_id, amount=amount)

    def _void(self, request: Request, charge_id: str) -> Awaitable[Answer]:
        return self._settle(request, kind="void", charge_id=charge_id, amount=None)

    def _settle(
        self, request: Request, *, kind: str, charge_id: str, amount: int | None
    ) -> Awaitable[Answer]:
        return self._write(
            request,
            kind=kind,
            find=lambda **write: self._ledger.settlement(kind=kind, **write),
            record=lambda **write: self._ledger.settle(
                kind=kind, charge_id=charge_id, amount=amount, **write
            ),
        )

    def _create_refund(self, request: Request) -> Awaitable[Answer]:
        members = request.members()
        charge_id, amount = text(members, "charge_id"), hundredths(members)
        reason = text(members, "reason", required=False)
        return self._write(
            request,
            kind="refund",
            find=self._ledger.refund_with_key,
            record=lambda **write: self._ledger.record_refund(
                charge_id=charge_id, amount=amount, reason=reason, **write
            ),
        )

    async def _write(
        self,
        request: Request,
        *,
        kind: str,
        find: Callable[..., Object | None],
        record: Callable[..., tuple[Object, bool]],
        behaviour: Behaviour | None = None,
    ) -> Answer:
        """Do a write once for its key, with what the token and the faults do to it."""
        behaviour = behaviour or Behaviour()
        key, fingerprint = request.idempotency_key(), request.fingerprint()
        tries = 0
        if self._faults.rate or behaviour.fails_first:
            tries = self._ledger.count_try(kind=kind, key=key)
        fault = self._faults.of(kind=kind, key=key, attempt=tries)
        if fault is Fault.ERROR:
            raise Refusal(500, "internal_error", "Something went wrong; nothing was done.")
        fate = Fate.LOST if fault is Fault.ANSWER_LOST else Fate.SENT

        if existing := find(key=key, fingerprint=fingerprint):
            if fault is Fault.SLOW:
                await asyncio.sleep(self._slow_seconds)
            return Answer(
                status=200, body=existing, headers={"Idempotent-Replayed": "true"}, fate=fate
            )
        if behaviour.fails_first and tries == 1:
            raise Refusal(503, "temporarily_unavailable", "Try again; nothing was done.")
        if behaviour.is_slow or fault is Fault.SLOW:
            await asyncio.sleep(self._slow_seconds)
        done, is_new = await self._writes.do(
            lambda: record(key=key, fingerprint=fingerprint, doubled=fault is Fault.WEBHOOK_DOUBLED)
        )
        if is_new and not behaviour.is_answered:
            fate = Fate.HELD
        return Answer(status=201 if is_new else 200, body=done, fate=fate)

    # --- Reads ------------------------------------------------------------------------------------

    def _health(self, request: Request) -> Answer:
        return Answer(status=200, body={"status": "ok"})

    def _show_charge(self, request: Request, charge_id: str) -> Answer:
        return Answer(status=200, body=self._ledger.charge(id=charge_id))

    def _find_charges(self, request: Request) -> Answer:
        return _list(self._ledger.charge_with_key(key=_sought(request)))

    def _find_refunds(self, request: Request) -> Answer:
        return _list(self._ledger.refund_with_key(key=_sought(request)))

    def _show_ledger(self, request: Request) -> Answer:
        """All charges, oldest first; `next` is the `after` of the next page, or null."""
        limit = min(_number(request, "limit", _PAGE), _LONGEST_PAGE)
        rows = self._ledger.charges(after=_number(request, "after", 0), limit=limit)
        more: Any = rows[-1][0] if rows and len(rows) == limit else None
        return Answer(status=200, body={"data": [charge for _, charge in rows], "next": more})


def _list(found: Object | None) -> Answer:
    return Answer(status=200, body={"data": [] if found is None else [found]})


def _sought(request: Request) -> str:
    key = request.query.get("idempotency_key", "")
    if not key:
        raise Refusal(400, "idempotency_key_required", "Name an idempotency_key in the query.")
    return key


def _number(request: Request, name: str, default: int) -> int:
    said = request.query.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,15}", said):
        raise Refusal(400, f"invalid_{name}", f"{name}: a whole number.")
    return int(said)
