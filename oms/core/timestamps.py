"""Moments in time as clients write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", flags=re.ASCII
)


def parse_instant(text: str) -> datetime:
    """The moment that the RFC 3339 timestamp `text` names, in UTC. Raises ValueError.

    A zone is needed: without one, no moment is named. Fractions go to the microsecond.
    """
    if not _RFC3339.fullmatch(text):
        raise ValueError("Not an RFC 3339 timestamp with a zone.")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("Out of range.") from error
