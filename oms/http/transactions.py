"""One transaction around all the work of a request, where the request asks for that.

An idempotency key needs it, so that the effect and its stored answer commit together; a deadline
needs it, so that what is late is undone as a whole. Other requests have the transactions of their
operations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.transaction import TransactionManagementError
from django.http import HttpRequest, HttpResponseBase

from oms.core.deadline import time_left
from oms.core.errors import DeadlineExceeded
from oms.db.transactions import with_retries
from oms.http.headers import DEADLINE

# Savepoints must be rolled back in a failed transaction too, and past the deadline.
_OF_TRANSACTIONS = ("SAVEPOINT", "RELEASE", "ROLLBACK")

Work = Callable[[], HttpResponseBase]


def in_one_transaction(*, request: HttpRequest, work: Work) -> HttpResponseBase:
    """The answer of `work`, whose writes are committed together, or not at all if it is a 5xx.

    The whole is run again after a deadlock. Past the deadline its statements are cancelled, and
    DeadlineExceeded is raised. Raises DatabaseBusy too.
    """

    # The deadline that every request has needs no statements of its own: each has a timeout.
    is_limited = DEADLINE in request.headers

    def attempt() -> HttpResponseBase:
        watch = connection.execute_wrapper(_cancel_when_late) if is_limited else nullcontext()
        with transaction.atomic(), watch:
            response = work()
            raise_retried_error(request)
            if response.status_code >= 500:
                transaction.set_rollback(True)
            else:
                _refuse_lost_writes(response)
                if time_left() == 0:
                    raise DeadlineExceeded
        return response

    return with_retries(attempt)


def in_savepoint(*, request: HttpRequest, work: Work) -> HttpResponseBase:
    """The answer of `work`, whose writes are undone unless it is a success."""
    with transaction.atomic():
        response = work()
        raise_retried_error(request)
        if response.status_code >= 400:
            transaction.set_rollback(True)
        else:
            _refuse_lost_writes(response)
    return response


def undone(*, request: HttpRequest, work: Work) -> HttpResponseBase:
    """The answer of `work`, of which nothing remains: no row, no event, no wake-up.

    The whole is run again after a deadlock.
    """

    def attempt() -> HttpResponseBase:
        with transaction.atomic():
            response = work()
            raise_retried_error(request)
            if response.status_code < 400:
                _refuse_lost_writes(response)
            transaction.set_rollback(True)
        return response

    return attempt() if connection.in_atomic_block else with_retries(attempt)


def raise_retried_error(request: HttpRequest) -> None:
    """Raise the deadlock that a view met and REST framework's hook has answered, if any.

    It must reach the transaction that can begin again.
    """
    error: Exception | None = request.__dict__.pop("retried_error", None)
    if error is not None:
        raise error


def _refuse_lost_writes(response: HttpResponseBase) -> None:
    """Raise if the transaction is doomed though the answer is a success.

    Django would roll it back in silence, and the client would believe what is not so.
    """
    if response.status_code < 400 and connection.needs_rollback:
        raise TransactionManagementError("A success was answered in a transaction that had failed.")


def _cancel_when_late(
    execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    """Run a statement with what is left of the deadline as its statement_timeout.

    It is set before each one, for a rolled back savepoint would bring back an older value.
    """
    left = time_left()
    if left is not None and not sql.startswith(_OF_TRANSACTIONS):
        if left <= 0:
            raise DeadlineExceeded
        database = context["connection"]
        milliseconds = min(math.ceil(left * 1000), settings.DB_STATEMENT_TIMEOUT_MS)
        # On the driver's own connection: a cursor of Django's would come back here.
        with database.wrap_database_errors:
            database.connection.execute(
                "SELECT set_config('statement_timeout', %s, true)", [str(milliseconds)]
            )
    return execute(sql, params, many, context)
