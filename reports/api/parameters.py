"""The query parameters of reports."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from django.http import QueryDict

from oms.core.currencies import CURRENCIES
from oms.core.errors import InputError
from oms.http.queries import InvalidQuery, query_error
from reports.operations.reporting import EARLIEST, LATEST, MAX_DAYS

_DATE = re.compile(r"\d{4}-\d\d-\d\d", flags=re.ASCII)

# The years from EARLIEST to LATEST.
DATE_SCHEMA = {"type": "string", "format": "date", "pattern": "^2[01][0-9]{2}-[0-9]{2}-[0-9]{2}$"}
PARAMETERS = {
    "date": {
        "schema": DATE_SCHEMA,
        "description": "The business day; today by default.",
    },
    "date_from": {
        "schema": DATE_SCHEMA,
        "description": "The first day of a range; requires `date_to`.",
    },
    "date_to": {
        "schema": DATE_SCHEMA,
        "description": f"The last day of a range, inclusive; at most {MAX_DAYS} days.",
    },
    "currency": {
        "schema": {"type": "string", "enum": sorted(CURRENCIES)},
        "description": "Only orders in this currency; the shop's currency by default.",
    },
}


@dataclass(frozen=True, kw_only=True)
class ReportQuery:
    """The days from `first` to `last`; `is_range` if given as date_from and date_to."""

    first: date
    last: date
    is_range: bool
    currency: str


def parse_query(query: QueryDict, *, today: date, currency: str) -> ReportQuery:
    """The parsed query. Raises InvalidQuery with all errors."""
    errors: list[InputError] = []
    days = {
        name: _day(str(query[name]), name, errors=errors)
        for name in ("date", "date_from", "date_to")
        if name in query
    }
    currency = query.get("currency", currency)
    if currency not in CURRENCIES:
        detail = "Use an ISO 4217 code in capitals, such as EUR."
        errors.append(query_error("currency", code="invalid_choice", detail=detail))
    is_range = "date_from" in days or "date_to" in days
    for name in ("date_from", "date_to"):
        if is_range and "date" in days and name in days:
            detail = "Use either date, or date_from and date_to."
            errors.append(query_error(name, code="conflict", detail=detail))
        elif is_range and "date" not in days and name not in days:
            detail = "A range requires date_from and date_to."
            errors.append(query_error(name, code="required", detail=detail))
    first = days.get("date_from") or days.get("date") or today
    last = days.get("date_to") or days.get("date") or today
    if not errors and not 0 <= (last - first).days < MAX_DAYS:
        detail = f"Must be date_from or later; a range has at most {MAX_DAYS} days."
        errors.append(query_error("date_to", code="out_of_range", detail=detail))
    if errors:
        raise InvalidQuery(errors)
    return ReportQuery(first=first, last=last, is_range=is_range, currency=currency)


def _day(text: str, name: str, *, errors: list[InputError]) -> date | None:
    try:
        day = date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None:
        detail = "Use the format YYYY-MM-DD."
        errors.append(query_error(name, code="no_date", detail=detail))
    elif not EARLIEST <= day <= LATEST:
        detail = f"Must be from {EARLIEST} to {LATEST}."
        errors.append(query_error(name, code="out_of_range", detail=detail))
    return day
