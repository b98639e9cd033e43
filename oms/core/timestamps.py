"""Timestamps as clients write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", flags=re.ASCII
)


def parse_instant(text: str) -> datetime:
    """The RFC 3339 timestamp `text`, in UTC. Raises ValueError, also without a time zone."""
    if not _RFC3339.fullmatch(text):
        raise ValueError("Not an RFC 3339 timestamp with a zone.")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("Out of range.") from error
