"""Placing on the hot lane: the calls of many customers in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from oms.core.actor import Actor
from oms.core.db import pipelined, with_retries
from oms.core.errors import OperationError
from oms.edge.connections import is_lost, log_failure, opened_connection
from oms.edge.messages import HotAnswer, HotCall
from oms.edge.routes import route_of
from oms.http.etags import etag_for
from oms.http.middleware.idempotency import REPLAYED, kept_headers
from oms.http.operations.idempotency import Answer, begin_calls, finish_calls
from oms.http.payloads import encode
from oms.http.problems import database_unreachable
from oms.users.access import SignedIn, asking_signed_in
from orders.api.placing import location_of, placed_document, placement_of, results_document
from orders.operations.placing import Outcome, PlacingCall, place_together

_JSON = "application/json"
# How long a call waits for locks by itself, in milliseconds, once its batch has waited in vain.
_AGAIN_MS = 5


def place(calls: Sequence[HotCall]) -> list[HotAnswer | None]:
    """Place the orders of all calls; None for a call that is left to Django.

    That is one whose user is not signed in any more, or whose products somebody keeps locked for
    longer than settings.HOT_LANE_LOCK_TIMEOUT_MS: then only those wait who must.
    """
    answers: list[HotAnswer | None] = [None] * len(calls)
    for wave in _waves(calls):
        placed = _placed([calls[n] for n in wave], patience=settings.HOT_LANE_LOCK_TIMEOUT_MS)
        for number, answer in zip(wave, placed, strict=True):
            answers[number] = answer
    return answers


def _waves(calls: Sequence[HotCall]) -> Iterator[list[int]]:
    """The positions of the calls, with those of one idempotency key in different waves."""
    waiting = list(range(len(calls)))
    while waiting:
        scopes: set[str] = set()
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


def _placed(calls: Sequence[HotCall], *, patience: int) -> Sequence[HotAnswer | None]:
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


def _in_one_transaction(calls: Sequence[HotCall], *, patience: int) -> list[HotAnswer | None]:
    # The pipeline ends before the transaction, so that what fails late is raised before the commit.
    with transaction.atomic(), pipelined():
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [str(patience)])
        asked = asking_signed_in({call.claims.session_id for call in calls})
        keyed = [number for number, call in enumerate(calls) if call.idempotent is not None]
        begun = begin_calls(calls=[c.idempotent for c in calls if c.idempotent is not None])
        return _answers(calls, users=asked(), earlier=dict(zip(keyed, begun, strict=True)))


def _answers(
    calls: Sequence[HotCall],
    *,
    users: Mapping[UUID, SignedIn],
    earlier: Mapping[int, Answer | OperationError | None],
) -> list[HotAnswer | None]:
    answers: list[HotAnswer | None] = [None] * len(calls)
    fresh: list[tuple[int, PlacingCall]] = []
    for number, call in enumerate(calls):
        actor = call.actor_among(users)
        before = earlier.get(number)
        if actor is None:
            continue
        if isinstance(before, Answer):
            headers = {**before.headers, REPLAYED: "true"}
            answers[number] = HotAnswer(status=before.status, body=before.body, headers=headers)
        elif before is not None:
            answers[number] = call.refused(before)
        else:
            fresh.append((number, _placing_call(call, actor)))
    if not fresh:
        return answers
    finished = []
    for (number, asked), outcomes in zip(
        fresh, place_together(calls=[asked for _, asked in fresh]), strict=True
    ):
        call = calls[number]
        answer = answers[number] = _answer(call, asked, outcomes)
        # Here and not for every answer: what is refused before the view has none in Django either.
        answer.headers["Allow"] = route_of(call.action).allow
        if call.idempotent is not None:
            headers = kept_headers(answer.headers)
            kept = Answer(status=answer.status, headers=headers, body=answer.body)
            finished.append((call.idempotent, kept))
    finish_calls(answers=finished)
    return answers


def _placing_call(call: HotCall, actor: Actor) -> PlacingCall:
    many = call.action == "create_many"
    orders = call.data["orders"] if many else [call.data]
    return PlacingCall(
        actor=actor,
        placements=[placement_of(order, customer_id=call.claims.user_id) for order in orders],
        all_or_nothing=many and call.data["on_error"] == "reject_all",
    )


def _answer(call: HotCall, asked: PlacingCall, outcomes: Sequence[Outcome]) -> HotAnswer:
    if call.action == "create_many":
        document = results_document(
            outcomes,
            actor=asked.actor,
            instance=call.request.path,
            request_id=call.request_id,
        )
        return HotAnswer(status=207, body=encode(document), headers={"Content-Type": _JSON})
    [outcome] = outcomes
    if isinstance(outcome, OperationError):
        return call.refused(outcome)
    return HotAnswer(
        status=201,
        body=encode(placed_document(outcome, actor=asked.actor)),
        headers={
            "Content-Type": _JSON,
            "ETag": etag_for(outcome.order.version),
            "Location": location_of(outcome.order.id),
        },
    )
