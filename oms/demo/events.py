"""What happened, as rows of the event log."""

from __future__ import annotations

from datetime import datetime

import msgspec

from oms.core.actor import Actor
from oms.demo.copy import Rows
from oms.demo.randomness import Dice
from oms.events.models import Event
from oms.events.types import DomainEvent

# What every event of the made-up past carries as its request id, so that it can be told apart.
DEMO_REQUEST = "demo-shop"


class Journal:
    """Writes facts into the log, in the order in which they are told."""

    def __init__(self, *, rows: Rows, dice: Dice) -> None:
        self._rows = rows
        self._dice = dice

    def tell(self, fact: DomainEvent, *, actor: Actor, at: datetime) -> None:
        """Append `fact`, as publishing it would have."""
        self._rows.add(
            Event,
            (
                self._dice.id_at(at),
                fact.type,
                fact.object_type,
                fact.object_id,
                msgspec.json.encode(fact).decode(),
                actor.kind.value,
                actor.id,
                actor.label,
                DEMO_REQUEST,
                actor.ip,
                at,
            ),
        )
