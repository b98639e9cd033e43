"""Imports past charges and refunds into the ledger without processing them.

For a demo shop with a generated history: without them its payments could not be refunded, and
reconciliation would report them missing. No webhooks are sent for them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from payments.sandbox.ledger import Ledger
from payments.sandbox.objects import timestamp

# Those with foreign keys first.
_TABLES = ("settlements", "refunds", "disputes", "tries", "webhooks", "charges")

# No request has the fingerprint "imported", so an imported key that is sent again is rejected.
_INSERT_CHARGE = """
    INSERT INTO charges (id, idempotency_key, fingerprint, status, amount, currency,
                         captured_amount, refunded_amount, token, reference, metadata,
                         decline_code, decline_message, created_at)
    VALUES (:id, :key, 'imported', iif(:decline_code = '', 'captured', 'declined'), :amount,
            :currency, iif(:decline_code = '', :amount, 0), :refunded_amount, :token, :reference,
            '{}', nullif(:decline_code, ''), nullif(:decline_message, ''), :at)
"""
_INSERT_REFUND = """
    INSERT INTO refunds (id, idempotency_key, fingerprint, charge_id, amount, reason, status,
                         created_at)
    VALUES (:id, :key, 'imported', :charge_id, :amount, :reason, 'succeeded', :at)
"""


@dataclass(frozen=True, kw_only=True)
class PastCharge:
    """A charge that was captured, or declined if there is a `decline_code`.

    Amounts are in minor units of `currency`; `refunded_amount` is the sum of its refunds.
    """

    id: str
    key: str
    amount: int
    refunded_amount: int
    currency: str
    token: str
    reference: str
    decline_code: str
    decline_message: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class PastRefund:
    """A refund of a charge that succeeded."""

    id: str
    key: str
    charge_id: str
    amount: int
    reason: str
    at: datetime


def import_past(
    path: Path, *, charges: Iterable[PastCharge], refunds: Iterable[PastRefund]
) -> None:
    """Replace the content of the ledger file `path` in one transaction; the provider may run.

    Raises sqlite3.Error or OSError if the file cannot be written.
    """
    Ledger(path).close()  # creates the file and its tables
    with closing(sqlite3.connect(path, timeout=10)) as connection, connection:
        for table in _TABLES:
            connection.execute(f"DELETE FROM {table}")  # noqa: S608
        connection.executemany(_INSERT_CHARGE, map(_parameters, charges))
        connection.executemany(_INSERT_REFUND, map(_parameters, refunds))


def _parameters(row: PastCharge | PastRefund) -> dict[str, Any]:
    return {**vars(row), "at": timestamp(row.at)}
