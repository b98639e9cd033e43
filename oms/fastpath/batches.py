"""Answering a batch of calls of one handler: limits, bodies, callers, keys, and the handler.

It does not depend on the event loop, so tests of the API call it as they call Django.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from oms.api.handlers import ApiAnswer
from oms.db.pipeline import Pipeline
from oms.db.transactions import with_retries
from oms.fastpath.answers import Answers, complete, record
from oms.fastpath.calls import FastPathCall
from oms.fastpath.connections import driver_connection, is_lost, log_failure
from oms.fastpath.process_lock import HeldLock
from oms.http.operations.idempotency import (
    KeyedCall,
    KeyLocks,
    StoredAnswer,
    store_answers,
    stored_answer,
)
from oms.http.problems import database_unreachable
from oms.http.rate_limits import (
    Counted,
    Limit,
    count,
    count_with_version,
    rate_limit_headers,
    rate_limit_problem,
    take_back,
)
from oms.users.access_tokens import AccountQuery

# How long a call waits for locks by itself, in milliseconds, once its batch has waited in vain.
_LOCK_TIMEOUT_ALONE_MS = 5


def answer_batch(calls: Sequence[FastPathCall], *, lock: HeldLock | None = None) -> Answers:
    """The answers to calls of one handler, with all of their headers.

    None for a call that is left to Django: one with an unusual body, whose caller is no longer
    signed in or not allowed, with a key and more orders than the limit allows, or whose products
    stay locked for longer than settings.FAST_PATH_LOCK_TIMEOUT_MS. `lock` is released once the
    batch does not need it any more.
    """
    counted, cache_version = _count(calls)
    answers: Answers = [
        None if state is None or state.allowed else call.problem(rate_limit_problem([state]))
        for call, state in zip(calls, counted, strict=True)
    ]
    # Bodies are decoded only where the token is valid and the limit allows another request.
    decoded = [n for n, call in enumerate(calls) if answers[n] is None and call.decode()]
    extra, refused = _count_orders(calls, decoded, counted, answers)
    fresh = [n for n in decoded if n not in refused]
    if fresh:
        batch = [calls[n] for n in fresh]
        done = _placed(batch, lock) if _is_write(batch) else _read(batch, cache_version)
        for number, one in zip(fresh, done, strict=True):
            answers[number] = one
    _take_back(calls, answers, extra)
    for call, state, one in zip(calls, counted, answers, strict=True):
        if one is not None:
            complete(one, call=call, limits={} if state is None else rate_limit_headers([state]))
    record(calls, answers)
    return answers


def _is_write(calls: Sequence[FastPathCall]) -> bool:
    return calls[0].route.fast_path.handler.is_write


# --- Limits ---------------------------------------------------------------------------------------


def _count(calls: Sequence[FastPathCall]) -> tuple[list[Counted | None], str | None]:
    """Count one request of each call; the handler's cache version comes in the same round trip.

    None for calls that have no limit.
    """
    limits = [call.limit for call in calls if call.limit is not None]
    cache = calls[0].route.fast_path.handler.cache
    version = None
    if cache is None:
        counted = iter(count(limits))
    else:
        states, version = count_with_version(limits, version=cache)
        counted = iter(states)
    return [None if call.limit is None else next(counted) for call in calls], version


def _count_orders(
    calls: Sequence[FastPathCall],
    decoded: Sequence[int],
    counted: list[Counted | None],
    answers: Answers,
) -> tuple[dict[int, Limit], set[int]]:
    """Count what the bodies add.

    Returns what was counted, by the number of the call, and the calls for which too little of the
    limit was left. Those with a key are left to Django, which counts only after it has looked for
    an earlier answer.
    """
    extra = {
        number: replace(limit, cost=calls[number].cost - 1)
        for number in decoded
        if (limit := calls[number].limit) is not None and calls[number].cost > 1
    }
    refused: set[int] = set()
    for number, state in zip(list(extra), count(list(extra.values())), strict=True):
        counted[number] = state
        if not state.allowed:
            if calls[number].keyed is None:
                answers[number] = calls[number].problem(rate_limit_problem([state]))
            refused.add(number)
            del extra[number]
    return extra, refused


def _take_back(
    calls: Sequence[FastPathCall],
    answers: Answers,
    extra: Mapping[int, Limit],
) -> None:
    """Take back what Django counts for the calls that it answers, and orders that keys answered."""
    left = [
        call.limit
        for call, one in zip(calls, answers, strict=True)
        if one is None and call.limit is not None
    ]
    for number, limit in extra.items():
        one = answers[number]
        if one is None or one.is_by_key:
            left.append(limit)
    take_back(left)


# --- Handlers -------------------------------------------------------------------------------------


def _read(calls: Sequence[FastPathCall], cache_version: str | None, *, tries: int = 2) -> Answers:
    """The answers of a handler that only reads; tried again where the connection was lost."""
    before = None
    try:
        before = driver_connection()
        with Pipeline() as pipeline:
            return _answered(calls, pipeline=pipeline, cache_version=cache_version)
    except Exception as error:  # a bug that one call meets must not fail the others
        log_failure(error, calls=len(calls))
        if not is_lost(before):
            return [None] * len(calls)
        connection.close()
        if tries > 1:
            return _read(calls, cache_version, tries=tries - 1)
        return [call.refused(database_unreachable()) for call in calls]


def _placed(calls: Sequence[FastPathCall], lock: HeldLock | None) -> Answers:
    """The answers of a handler that writes; calls with one key go into different transactions."""
    answers: Answers = [None] * len(calls)
    for wave in _waves(calls):
        written = _written(
            [calls[n] for n in wave], lock, lock_timeout=settings.FAST_PATH_LOCK_TIMEOUT_MS
        )
        for number, one in zip(wave, written, strict=True):
            answers[number] = one
    return answers


def _waves(calls: Sequence[FastPathCall]) -> Iterator[list[int]]:
    """The positions of the calls, with those of one idempotency key in different waves."""
    waiting = list(range(len(calls)))
    while waiting:
        scopes: set[UUID] = set()
        wave, later = [], []
        for number in waiting:
            keyed = calls[number].keyed
            if keyed is not None and keyed.scope in scopes:
                later.append(number)
                continue
            if keyed is not None:
                scopes.add(keyed.scope)
            wave.append(number)
        yield wave
        waiting = later


def _written(
    calls: Sequence[FastPathCall], lock: HeldLock | None, *, lock_timeout: int
) -> Sequence[ApiAnswer | None]:
    """The answers of one transaction; where that fails, of one transaction for each call.

    A transaction waits for a lock for `lock_timeout` milliseconds.
    """
    before = None
    try:
        before = driver_connection()
        return with_retries(lambda: _in_one_transaction(calls, lock, lock_timeout=lock_timeout))
    except Exception as error:  # a bug that one call meets must not fail the others either
        log_failure(error, calls=len(calls))
        if is_lost(before):
            # Perhaps after the commit: clients can find out by repeating the call with its key.
            connection.close()
            return [call.refused(database_unreachable()) for call in calls]
        # The transaction was undone: what runs after a commit is robust.
        if len(calls) == 1:
            return [None]
        return [
            one
            for call in calls
            for one in _written([call], lock, lock_timeout=_LOCK_TIMEOUT_ALONE_MS)
        ]


def _in_one_transaction(
    calls: Sequence[FastPathCall], lock: HeldLock | None, *, lock_timeout: int
) -> Answers:
    """Two round trips and a commit for any number of calls."""
    # The pipeline ends before the transaction, so that what fails late is raised before the commit.
    with transaction.atomic(), Pipeline() as pipeline:
        pipeline.query("SELECT set_config('lock_timeout', %s, true)", [str(lock_timeout)])
        answers = _answered(calls, pipeline=pipeline)
        pipeline.send()
        # While PostgreSQL writes, the next process may gather and read; it waits for row locks.
        if lock is not None:
            lock.release()
    return answers


def _answered(
    calls: Sequence[FastPathCall], *, pipeline: Pipeline, cache_version: str | None = None
) -> Answers:
    """The handler's answers to the calls of known callers that have not been answered before."""
    keyed = [call.keyed for call in calls if call.keyed is not None]
    sessions = {call.claims.session_id for call in calls if call.claims is not None}
    # The order of locks: keys, then those of the handler.
    accounts = AccountQuery(sessions, pipeline=pipeline)
    keys = KeyLocks(keyed, pipeline=pipeline)
    handler = calls[0].route.fast_path.handler(
        calls, pipeline=pipeline, cache_version=cache_version
    )
    by_session, earlier = accounts.by_session(), iter(keys.earlier_answers())
    answers: Answers = [None] * len(calls)
    fresh: list[int] = []
    for number, call in enumerate(calls):
        before = next(earlier) if call.keyed is not None else None
        if not call.identify(by_session):
            continue
        if isinstance(before, StoredAnswer):
            answers[number] = ApiAnswer(
                status=before.status,
                body=before.body,
                headers=before.replayed_headers,
                is_by_key=True,
            )
        elif before is not None:
            refusal = call.refused(before)
            refusal.is_by_key = True
            answers[number] = refusal
        else:
            fresh.append(number)
    for number, one in zip(fresh, handler.answers([calls[n] for n in fresh]), strict=True):
        one.headers["Allow"] = calls[number].route.allow
        answers[number] = one
    if keyed:
        store_answers(_to_store(calls, answers, fresh), pipeline=pipeline)
    return answers


def _to_store(
    calls: Sequence[FastPathCall], answers: Answers, fresh: Sequence[int]
) -> Iterator[tuple[KeyedCall, StoredAnswer]]:
    for number in fresh:
        keyed, one = calls[number].keyed, answers[number]
        if keyed is not None and one is not None:
            stored = stored_answer(status=one.status, headers=one.headers, body=one.body)
            if stored.is_kept:
                yield keyed, stored
