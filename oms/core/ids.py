"""Identifiers, generated in Python so that no statement needs RETURNING."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

import uuid_utils.compat

from oms.core import clock
from oms.core.clock import business_date

# Crockford's base 32: no I, L, O or U, so that a number can be read out over the phone.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Orders the ids of one millisecond while the clock is stopped (RFC 9562, 6.2, method 1).
_sequence = count()
_LAST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)


def new_id() -> UUID:
    """A new UUIDv7 (RFC 9562), ordered by creation to the millisecond."""
    if clock.stopped is None:
        return uuid_utils.compat.uuid7()
    low_bits = (next(_sequence) & 0xFFF) << 64 | secrets.randbits(62)
    return UUID(int=first_id_at(clock.stopped).int | low_bits)


def as_uuid(text: str) -> UUID | None:
    """The UUID in `text`; None if it is none."""
    try:
        return UUID(text)
    except ValueError:
        return None


def first_id_at(at: datetime) -> UUID:
    """The least UUIDv7 of the millisecond of `at`; of the year 1970 for earlier times."""
    milliseconds = max((at - _EPOCH) // timedelta(milliseconds=1), 0)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | 0b10 << 62)


def creation_time_of(id: UUID) -> datetime:
    """When a UUIDv7 was created, to the millisecond; the latest possible time for other UUIDs."""
    milliseconds = min(id.int >> 80, _LAST)
    return _EPOCH + timedelta(milliseconds=milliseconds)


def order_number(*, placed_at: datetime) -> str:
    """An order number such as "20261121-7K3M9Q": the business day and 30 random bits.

    Two orders of a day may get the same number; the database rejects it and placing is retried.
    """
    bits = secrets.randbits(30)
    suffix = "".join(_ALPHABET[(bits >> shift) & 31] for shift in range(25, -1, -5))
    return f"{business_date(placed_at):%Y%m%d}-{suffix}"
