"""The database's clock, which all machines share."""

from __future__ import annotations

from datetime import datetime

from oms.db.pipeline import execute


def database_time() -> datetime:
    """What the database's clock says now."""
    [(time,)] = execute("SELECT clock_timestamp()").rows()
    now: datetime = time
    return now
