"""Deleting old rows in batches."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import structlog
from django.db import connection

from oms.db.transactions import durable

log = structlog.get_logger(__name__)

BATCH = 5_000


@durable
def purge_rows(*, what: str, statement: str, parameters: Mapping[str, Any], deadline: float) -> int:
    """Run `statement` until it deletes nothing more, or until `deadline` of `time.monotonic`.

    It deletes at most `%(batch)s` rows, the oldest first, and skips locked ones; each run is a
    transaction of its own, so others wait no longer than a batch takes. Returns how many rows it
    deleted; they are logged as `what`.
    """
    purged = 0
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute(statement, {**parameters, "batch": BATCH})
            deleted = cursor.rowcount
        if not deleted:
            break
        purged += deleted
    if purged:
        log.info("purged", what=what, rows=purged)
    return purged
