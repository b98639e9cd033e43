"""Placing on the hot lane: the calls of many customers in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from oms.core.errors import OperationError
from oms.db.bulk_writes import written_together
from oms.db.pipeline import ask, pipelined, send_asked
from oms.db.transactions import with_retries
from oms.fastpath.connections import is_lost, log_failure, opened_connection
from oms.fastpath.process_lock import release_process_lock
from oms.fastpath.routes import route_of
from oms.fastpath.types import FastPathAnswer, FastPathCall
from oms.http.etags import etag_for
from oms.http.middleware.idempotency import REPLAYED, kept_headers
from oms.http.operations.idempotency import Answer, beginning_calls, finish_calls
from oms.http.operations.idempotency import Call as IdempotentCall
from oms.http.payloads import encode
from oms.http.problems import database_unreachable
from oms.users.access_tokens import asking_signed_in
from orders.api.placing import location_of, placed_document, placement_of, results_document
from orders.operations.placing import opening_book, place_together
from orders.placements import Outcome, Placement, PlacingCall

_JSON = "application/json"
# How long a call waits for locks by itself, in milliseconds, once its batch has waited in vain.
_AGAIN_MS = 5


def place(calls: Sequence[FastPathCall]) -> list[FastPathAnswer | None]:
    """Place the orders of all calls; None for a call that is left to Django.

    That is one whose user is not signed in any more, or whose products somebody keeps locked for
    longer than settings.FAST_PATH_LOCK_TIMEOUT_MS: then only those wait who must.
    """
    answers: list[FastPathAnswer | None] = [None] * len(calls)
    for wave in _waves(calls):
        placed = _placed([calls[n] for n in wave], patience=settings.FAST_PATH_LOCK_TIMEOUT_MS)
        for number, answer in zip(wave, placed, strict=True):
            answers[number] = answer
    return answers


def _waves(calls: Sequence[FastPathCall]) -> Iterator[list[int]]:
    """The positions of the calls, with those of one idempotency key in different waves."""
    waiting = list(range(len(calls)))
    while waiting:
        scopes: set[UUID] = set()
        wave, later = [], []
        for number in waiting:
            idempotent = calls[number].idempotent
            if idempotent is not None and idempotent.scope in scopes:
                later.append(number)
                continue
            if idempotent is not None:
                scopes.add(idempotent.scope)
            wave.append(number)
        yield wave
        waiting = later


def _placed(calls: Sequence[FastPathCall], *, patience: int) -> Sequence[FastPathAnswer | None]:
    """The answers of one transaction; where that fails, of one transaction for each call.

    A transaction waits for a lock for `patience` milliseconds.
    """
    before = None
    try:
        before = opened_connection()
        return with_retries(lambda: _in_one_transaction(calls, patience=patience))
    except Exception as error:  # a bug that one call meets must not fail the others either
        log_failure(error, calls=len(calls))
        if is_lost(before):
            # Perhaps after the commit: each client learns by its key.
            connection.close()
            return [call.refused(database_unreachable()) for call in calls]
        # The transaction was undone: whatever a commit calls is robust.
        if len(calls) == 1:
            return [None]
        return [answer for call in calls for answer in _placed([call], patience=_AGAIN_MS)]


def _in_one_transaction(
    calls: Sequence[FastPathCall], *, patience: int
) -> list[FastPathAnswer | None]:
    """Two round trips and a commit, whatever the number of calls."""
    # The pipeline ends before the transaction, so that what fails late is raised before the commit.
    with transaction.atomic(), pipelined():
        with written_together():
            ask("SELECT set_config('lock_timeout', %s, true)", [str(patience)])
            wanted = [_placements(call) for call in calls]
            users = asking_signed_in({call.claims.session_id for call in calls})
            begun = beginning_calls(calls=[c.idempotent for c in calls if c.idempotent is not None])
            book = opening_book(placement for placements in wanted for placement in placements)
            # Each fetches its answer in the order in which they were asked.
            signed_in, earlier = users(), iter(begun())
            answers: list[FastPathAnswer | None] = [None] * len(calls)
            fresh: dict[int, PlacingCall] = {}
            for number, call in enumerate(calls):
                actor = call.actor_among(signed_in)
                before = next(earlier) if call.idempotent is not None else None
                if actor is None:
                    continue
                if isinstance(before, Answer):
                    answers[number] = _replayed(before)
                elif before is not None:
                    answers[number] = call.refused(before)
                else:
                    fresh[number] = PlacingCall(
                        actor=actor,
                        placements=wanted[number],
                        all_or_nothing=_is_many(call) and call.data["on_error"] == "reject_all",
                    )
            outcomes = place_together(calls=list(fresh.values()), book=book())
            for (number, asked), placed in zip(fresh.items(), outcomes, strict=True):
                answers[number] = _answer(calls[number], asked, placed)
            finish_calls(answers=_kept((calls[number], answers[number]) for number in fresh))
        send_asked()
        # While this is written the next in turn asks; for the locks it waits in the database.
        release_process_lock()
    return answers


def _is_many(call: FastPathCall) -> bool:
    return call.action == "create_many"


def _placements(call: FastPathCall) -> list[Placement]:
    orders = call.data["orders"] if _is_many(call) else [call.data]
    return [placement_of(order, customer_id=call.claims.user_id) for order in orders]


def _replayed(answer: Answer) -> FastPathAnswer:
    headers = {**answer.headers, REPLAYED: "true"}
    return FastPathAnswer(status=answer.status, body=answer.body, headers=headers)


def _kept(
    answered: Iterable[tuple[FastPathCall, FastPathAnswer | None]],
) -> Iterator[tuple[IdempotentCall, Answer]]:
    for call, answer in answered:
        if call.idempotent is not None and answer is not None:
            headers = kept_headers(answer.headers)
            yield call.idempotent, Answer(status=answer.status, headers=headers, body=answer.body)


def _answer(call: FastPathCall, asked: PlacingCall, outcomes: Sequence[Outcome]) -> FastPathAnswer:
    answer = (
        _of_many(call, asked, outcomes) if _is_many(call) else _of_one(call, asked, outcomes[0])
    )
    # Here and not for every answer: what is refused before the view has none in Django either.
    answer.headers["Allow"] = route_of(call.action).allow
    return answer


def _of_many(call: FastPathCall, asked: PlacingCall, outcomes: Sequence[Outcome]) -> FastPathAnswer:
    document = results_document(
        outcomes, actor=asked.actor, instance=call.request.path, request_id=call.request_id
    )
    return FastPathAnswer(status=207, body=encode(document), headers={"Content-Type": _JSON})


def _of_one(call: FastPathCall, asked: PlacingCall, outcome: Outcome) -> FastPathAnswer:
    if isinstance(outcome, OperationError):
        return call.refused(outcome)
    return FastPathAnswer(
        status=201,
        body=encode(placed_document(outcome, actor=asked.actor)),
        headers={
            "Content-Type": _JSON,
            "ETag": etag_for(outcome.order.version),
            "Location": location_of(outcome.order.id),
        },
    )
