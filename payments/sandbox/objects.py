"""Charges and refunds as clients and webhooks show them."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

# What a charge was before it became what a result says, for reports that come out of order.
_BEFORE = {
    "authorized": "pending",
    "captured": "authorized",
    "declined": "pending",
    "voided": "authorized",
}

Object = dict[str, Any]


def charge(row: sqlite3.Row) -> Object:
    """A row of the table charges as clients see it."""
    return {
        "id": row["id"],
        "idempotency_key": row["idempotency_key"],
        "status": row["status"],
        "amount": _money(row["amount"]),
        "currency": row["currency"],
        "captured_amount": _money(row["captured_amount"]),
        "refunded_amount": _money(row["refunded_amount"]),
        "reference": row["reference"],
        "metadata": json.loads(row["metadata"]),
        "decline_code": row["decline_code"],
        "decline_message": row["decline_message"],
        "created_at": row["created_at"],
    }


def before(charge: Object) -> Object:
    """`charge` as it was before its last change of status."""
    return {
        **charge,
        "status": _BEFORE[charge["status"]],
        "captured_amount": _money(0),
        "refunded_amount": _money(0),
        "decline_code": None,
        "decline_message": None,
    }


def refund(row: sqlite3.Row) -> Object:
    """A row of the table refunds as clients see it."""
    return {
        "id": row["id"],
        "idempotency_key": row["idempotency_key"],
        "charge_id": row["charge_id"],
        "amount": _money(row["amount"]),
        "reason": row["reason"],
        "status": row["status"],
        "created_at": row["created_at"],
    }


def _money(hundredths: int) -> str:
    return f"{hundredths // 100}.{hundredths % 100:02d}"
