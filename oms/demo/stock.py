"""The stock of the demo shop while its history is told: balances, and the ledger behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from inventory.events import StockAdjusted, StockRanLow
from inventory.models import Location, MovementKind, Product, StockMovement
from oms.core.actor import Actor
from oms.demo.copy import Rows
from oms.demo.events import Journal
from oms.demo.randomness import Dice

# Pieces by the index of the product and of the location.
Pieces = dict[tuple[int, int], int]


@dataclass(slots=True)
class Shelf:
    """The balances of one product, by the index of the location."""

    product: Product
    on_hand: list[int]
    reserved: list[int]

    @property
    def available(self) -> int:
        return sum(self.on_hand) - sum(self.reserved)


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Why pieces move."""

    actor: Actor
    reference: str
    order_id: UUID | None = None
    reason: str = ""
    note: str = ""


@dataclass(kw_only=True)
class Warehouse:
    """All shelves; the products and locations are saved already."""

    products: Sequence[Product]
    locations: Sequence[Location]
    rows: Rows
    dice: Dice
    journal: Journal
    shelves: list[Shelf] = field(init=False)

    def __post_init__(self) -> None:
        empty = [0] * len(self.locations)
        self.shelves = [Shelf(product, [*empty], [*empty]) for product in self.products]

    def stock(self, product: int, place: int, quantity: int, *, actor: Actor, at: datetime) -> None:
        """The first pieces of a product, as they come with its creation."""
        reference = f"product:{self.products[product].id}:created"
        cause = Cause(actor=actor, reference=reference, reason="received")
        self._move(product, place, MovementKind.RECEIVE, quantity, 0, cause=cause, at=at)

    def adjust(
        self,
        product: int,
        place: int,
        delta: int,
        *,
        actor: Actor,
        at: datetime,
        reason: str = "received",
        note: str = "",
    ) -> None:
        """A delivery, or a correction after a count."""
        if delta == 0:
            return
        shelf, before = self.shelves[product], self.shelves[product].available
        kind = MovementKind.RECEIVE if reason == "received" else MovementKind.ADJUST
        cause = Cause(
            actor=actor, reference=f"adjustment:{self.dice.id_at(at)}", reason=reason, note=note
        )
        movement_id = self._move(product, place, kind, delta, 0, cause=cause, at=at)
        self._watch(shelf, before, actor=actor, at=at)
        self.journal.tell(
            StockAdjusted(
                product_id=shelf.product.id,
                sku=shelf.product.sku,
                location=self.locations[place].code,
                reason=reason,
                on_hand_delta=delta,
                on_hand_after=shelf.on_hand[place],
                movement_id=movement_id,
            ),
            actor=actor,
            at=at,
        )

    def reserve(self, product: int, quantity: int, *, cause: Cause, at: datetime) -> Pieces:
        """Promise that many pieces, from the first location on; what is lacking, at the first."""
        shelf = self.shelves[product]
        before = shelf.available
        taken: Pieces = {}
        left = quantity
        for place in range(len(self.locations)):
            take = min(max(shelf.on_hand[place] - shelf.reserved[place], 0), left)
            left -= take
            taken[product, place] = take
        if left and not shelf.product.backorderable:
            raise ValueError(f"{shelf.product.sku} was planned to be sold beyond its stock.")
        taken[product, 0] += left
        taken = {where: pieces for where, pieces in taken.items() if pieces}
        for (_, place), pieces in taken.items():
            self._move(product, place, MovementKind.RESERVE, 0, pieces, cause=cause, at=at)
        self._watch(shelf, before, actor=cause.actor, at=at)
        return taken

    def release(self, pieces: Mapping[tuple[int, int], int], *, cause: Cause, at: datetime) -> None:
        """Take those promises back."""
        for (product, place), quantity in sorted(pieces.items()):
            self._move(product, place, MovementKind.RELEASE, 0, -quantity, cause=cause, at=at)

    def ship(self, pieces: Mapping[tuple[int, int], int], *, cause: Cause, at: datetime) -> None:
        """Let those promised pieces go."""
        for (product, place), quantity in sorted(pieces.items()):
            self._move(product, place, MovementKind.SHIP, -quantity, -quantity, cause=cause, at=at)

    def take_back(
        self, pieces: Mapping[tuple[int, int], int], *, cause: Cause, at: datetime
    ) -> None:
        """Put those shipped pieces on the shelf again."""
        for (product, place), quantity in sorted(pieces.items()):
            self._move(product, place, MovementKind.RETURN, quantity, 0, cause=cause, at=at)

    def _watch(self, shelf: Shelf, before: int, *, actor: Actor, at: datetime) -> None:
        threshold = shelf.product.low_stock_threshold
        if before > threshold >= shelf.available:
            self.journal.tell(
                StockRanLow(
                    product_id=shelf.product.id,
                    sku=shelf.product.sku,
                    name=shelf.product.name,
                    available=shelf.available,
                    threshold=threshold,
                ),
                actor=actor,
                at=at,
            )

    def _move(
        self,
        product: int,
        place: int,
        kind: MovementKind,
        on_hand: int,
        reserved: int,
        *,
        cause: Cause,
        at: datetime,
    ) -> UUID:
        shelf = self.shelves[product]
        shelf.on_hand[place] += on_hand
        shelf.reserved[place] += reserved
        movement_id = self.dice.id_at(at)
        self.rows.add(
            StockMovement,
            (
                movement_id,
                shelf.product.id,
                self.locations[place].id,
                kind.value,
                on_hand,
                reserved,
                shelf.on_hand[place],
                shelf.reserved[place],
                cause.reference,
                cause.reason,
                cause.note,
                cause.order_id,
                cause.actor.id,
                cause.actor.label,
                at,
            ),
        )
        return movement_id
