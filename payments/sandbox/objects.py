"""Charges and refunds as the API and webhooks present them.

Amounts are integers in minor units of the currency by ISO 4217: 1250 is 12.50 EUR or 1250 JPY.
"""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime
from typing import Any

# The status of a charge before the change that led to each status, for webhooks out of order.
_PREVIOUS_STATUS = {
    "authorized": "pending",
    "captured": "authorized",
    "declined": "pending",
    "voided": "authorized",
}
_PRIVATE = {"position", "fingerprint", "token"}

Object = dict[str, Any]


def charge(row: sqlite3.Row) -> Object:
    """A row of the table charges, presented."""
    return {
        **presented(row),
        "metadata": json.loads(row["metadata"]),
    }


def previous_state(charge: Object) -> Object:
    """`charge` as it was before its last change of status."""
    return {
        **charge,
        "status": _PREVIOUS_STATUS[charge["status"]],
        "captured_amount": 0,
        "refunded_amount": 0,
        "decline_code": None,
        "decline_message": None,
    }


def timestamp(at: datetime) -> str:
    """An aware time as text in UTC."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def presented(row: sqlite3.Row) -> Object:
    """A row of the tables refunds or disputes with its charge's currency, presented."""
    return {name: row[name] for name in row.keys() if name not in _PRIVATE}  # noqa: SIM118
