"""The shop's own settings, and a switch for single protections of the code.

The file "weakened" in VAR_DIR names what is taken away at the moment, such as "order lock". While
it is empty or missing, nothing of the shop is changed. Every process follows the file.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from django.apps import AppConfig

from oms.settings import *  # noqa: F403
from oms.settings import INSTALLED_APPS, VAR_DIR

_FILE = Path(VAR_DIR) / "weakened"
_SECONDS = 0.1


def _without(module: Any, statement: str, text: str, instead: str = "") -> Any:
    """Replace `text` in the SQL `statement` of `module`. RuntimeError if it is not there."""
    sql: str = getattr(module, statement)
    if text not in sql:
        raise RuntimeError(f"{statement} has no “{text}” that could be taken away.")
    return patch.object(module, statement, sql.replace(text, instead))


def _stock_lock() -> Any:
    from inventory import locks

    return _without(locks, "_LOCK_LEVELS", "FOR NO KEY UPDATE OF level")


def _stock_order() -> Any:
    from inventory import locks

    return _without(
        locks, "_LOCK_LEVELS", "ORDER BY level.product_id, level.location_id", "ORDER BY random()"
    )


def _order_lock() -> Any:
    return _unlocked("Order")


def _payment_lock() -> Any:
    from payments import locks

    stack = ExitStack()
    stack.enter_context(_unlocked("Order", "Payment", "Refund"))
    stack.enter_context(_without(locks, "_LOCK", "FOR NO KEY UPDATE"))
    return stack


def _horizon() -> Any:
    from oms.events import relay

    return _without(relay, "_READABLE", "AND transaction < pg_snapshot_xmin(pg_current_snapshot())")


def _settled() -> Any:
    """Followers see at once whatever is committed."""
    from oms.db import settled
    from oms.streams import feed

    stack = ExitStack()
    stack.enter_context(patch.object(settled, "_SETTLED", "SELECT clock_timestamp()"))
    horizon = "AND transaction < pg_snapshot_xmin(pg_current_snapshot())"
    # Of all, for staff; and of what an index leads to, for customers.
    for statement in ("_ALL", "_AFTER"):
        stack.enter_context(_without(feed, statement, horizon))
    return stack


def _charge_key() -> Any:
    """The sandbox's charges have another key at each attempt, and are not looked up."""
    from payments.gateways.sandbox import SandboxGateway

    charge = SandboxGateway.charge

    def charge_again(gateway: SandboxGateway, *, key: str, **details: Any) -> Any:
        return charge(gateway, key=str(uuid.uuid4()), **details)

    stack = ExitStack()
    stack.enter_context(patch.object(SandboxGateway, "charge", charge_again))
    stack.enter_context(patch.object(SandboxGateway, "look_up", lambda gateway, **details: None))
    return stack


def _relay_lock() -> Any:
    """Relays side by side read the same events, and each moves the offset."""
    from oms.events import relay

    stack = ExitStack()
    stack.enter_context(patch.object(relay, "_LOCK", "SELECT %s::text"))
    same = "transaction = %s::text::xid8 AND position = %s"
    stack.enter_context(
        _without(relay, "_SAVE_OFFSET", same, "%s::text <> '' AND %s::bigint IS NOT NULL")
    )
    return stack


def _isolation() -> Any:
    """An event that fails takes those beside it with it."""
    from django.db import transaction

    from oms.events import relay

    def handle(consumer: relay.Consumer, events: Any) -> None:
        with transaction.atomic():
            consumer.handle([relay.recorded(event) for event in events])

    return patch.object(relay, "try_to_handle", handle)


def _payments_in_progress() -> Any:
    """An order expires without a look at its payments: its own status may be behind."""
    from orders.operations import cancelling

    return patch.object(cancelling, "void_unsent", lambda **_: frozenset())


def _mail_retries() -> Any:
    """A mail is attempted once."""
    from notifications.operations import sending

    return patch.object(sending, "_reschedule", sending._give_up)


def _resumption() -> Any:
    """A stream begins with what happens from now on, whatever the client says."""
    from oms.streams.connection import Streams

    beginning, subscribe = Streams.beginning, Streams.subscribe

    async def begin(*arguments: Any, **options: Any) -> Any:
        return await beginning(*arguments, **options | {"after": None})

    def follow(*arguments: Any, **options: Any) -> Any:
        return subscribe(*arguments, **options | {"after": None})

    stack = ExitStack()
    stack.enter_context(patch.object(Streams, "beginning", begin))
    stack.enter_context(patch.object(Streams, "subscribe", follow))
    return stack


def _unlocked(*models: str) -> Any:
    """The ORM's locks of these models do nothing."""
    from django.db.models import QuerySet

    lock = QuerySet.select_for_update

    def select_for_update(rows: QuerySet[Any], **options: Any) -> QuerySet[Any]:
        return rows.all() if rows.model.__name__ in models else lock(rows, **options)

    return patch.object(QuerySet, "select_for_update", select_for_update)


WEAKNESSES: dict[str, Callable[[], Any]] = {
    "stock lock": _stock_lock,
    "stock order": _stock_order,
    "order lock": _order_lock,
    "payment lock": _payment_lock,
    "horizon": _horizon,
    "settled": _settled,
    "charge key": _charge_key,
    "relay lock": _relay_lock,
    "isolation": _isolation,
    "payments in progress": _payments_in_progress,
    "mail retries": _mail_retries,
    "resumption": _resumption,
}


class Weakened(AppConfig):
    """Follows the file in a thread of every process."""

    name = __name__

    def ready(self) -> None:
        _start()
        os.register_at_fork(after_in_child=_start)


def _start() -> None:
    threading.Thread(target=_follow, name="weakened", daemon=True).start()


@dataclass(kw_only=True)
class _State:
    """What is taken away now; a forked process begins with that of its parent."""

    present: str = ""
    changes: ExitStack = field(default_factory=ExitStack)


_state = _State()


def _follow() -> None:
    while True:
        wanted = _FILE.read_text().strip() if _FILE.exists() else ""
        if wanted != _state.present:
            _state.changes.close()
            _state.changes = ExitStack()
            if wanted:
                _state.changes.enter_context(WEAKNESSES[wanted]())
            _state.present = wanted
        time.sleep(_SECONDS)


INSTALLED_APPS = [*INSTALLED_APPS, f"{__name__}.{Weakened.__name__}"]
