"""Everything random of a seeded shop, out of one number."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from uuid import UUID

# Crockford's base 32, as in oms.core.ids.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# The ids of what does not depend on now count from here, so that they are the same for ever.
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Dice:
    """A source of random choices and ids; `purpose` keeps the streams of one seed apart."""

    def __init__(self, *, seed: int, purpose: str) -> None:
        self.random = Random(f"{seed}:{purpose}")
        self._last_millisecond = 0
        self._sequence = 0

    def id_at(self, moment: datetime) -> UUID:
        """A UUIDv7 of that moment (RFC 9562); ids of one millisecond keep the order of calls."""
        millisecond = int(moment.timestamp() * 1000)
        if millisecond == self._last_millisecond:
            self._sequence += 1
        else:
            self._last_millisecond, self._sequence = millisecond, 0
        return UUID(
            int=millisecond << 80
            | 0x7 << 76
            | (self._sequence & 0xFFF) << 64
            | 0b10 << 62
            | self.random.getrandbits(62)
        )

    def lasting_id(self) -> UUID:
        """A UUIDv7 that does not depend on now."""
        return self.id_at(_EPOCH)


def number_suffix(random: Random) -> str:
    """Six random characters, the end of an order's number."""
    bits = random.getrandbits(30)
    return "".join(_ALPHABET[(bits >> shift) & 31] for shift in range(25, -1, -5))
