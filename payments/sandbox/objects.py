"""Charges and refunds as the API and webhooks present them."""

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
        **_presented(row),
        "captured_amount": _money(row["captured_amount"]),
        "refunded_amount": _money(row["refunded_amount"]),
        "metadata": json.loads(row["metadata"]),
    }


def refund(row: sqlite3.Row) -> Object:
    """A row of the table refunds, presented."""
    return _presented(row)


def previous_state(charge: Object) -> Object:
    """`charge` as it was before its last change of status."""
    return {
        **charge,
        "status": _PREVIOUS_STATUS[charge["status"]],
        "captured_amount": _money(0),
        "refunded_amount": _money(0),
        "decline_code": None,
        "decline_message": None,
    }


def timestamp(at: datetime) -> str:
    """An aware time as text in UTC."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _presented(row: sqlite3.Row) -> Object:
    members = {name: row[name] for name in row.keys() if name not in _PRIVATE}  # noqa: SIM118
    return {**members, "amount": _money(row["amount"])}


def _money(hundredths: int) -> str:
    return f"{hundredths // 100}.{hundredths % 100:02d}"
