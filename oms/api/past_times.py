"""The query parameter `at` of what can be shown as of a past time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from oms.api.filters import InstantFilter, InvalidValue
from oms.core import clock
from oms.http.queries import InvalidQuery, query_error

AT: Mapping[str, Any] = {
    "schema": {"type": "string", "format": "date-time"},
    "description": "As of this time, which is not in the future; RFC 3339 with a time zone.",
}
"""The documentation of the parameter."""


def past_time(params: Mapping[str, str]) -> datetime | None:
    """The time in the parameter `at`; None without one.

    Raises InvalidQuery for what is no time, or one in the future.
    """
    text = params.get("at")
    if text is None:
        return None
    try:
        at: datetime = InstantFilter().clean(text)
    except InvalidValue as error:
        raise InvalidQuery([query_error("at", code=error.code, detail=error.detail)]) from error
    if at > clock.now():
        detail = "What will be is not known: use a time in the past."
        raise InvalidQuery([query_error("at", code="in_the_future", detail=detail)])
    return at
