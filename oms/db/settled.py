"""Until when nothing can appear any more among rows that carry the time of their last change.

A change gets its time when it is made and is seen when it is committed, which may be later than
others with a later time. So who reads rows in the order of these times must stop before those of
transactions that are still open.
"""

from __future__ import annotations

from datetime import datetime

from oms.db.pipeline import execute

# One that has written nothing after half a minute, longer than any request may take, only reads:
# a dump of the database must not hold up those who follow its changes. The times are of the clocks
# of the processes, which agree with that of the database to within a second.
_SETTLED = """
    SELECT least(clock_timestamp(), min(xact_start)) - interval '1 second'
    FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend'
      AND pid <> pg_backend_pid()
      AND (backend_xid IS NOT NULL OR xact_start > clock_timestamp() - interval '30 seconds')
"""


def settled_until() -> datetime:
    """All changes with an earlier time are committed or undone.

    To be asked before the statement that reads them, because that sees what is committed when it
    begins.
    """
    [(time,)] = execute(_SETTLED).rows()
    settled: datetime = time
    return settled
