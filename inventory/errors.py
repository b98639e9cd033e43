"""What the operations of inventory refuse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from oms.core.errors import Conflict, InputError


class SkuTaken(Conflict):
    """There is a product with this SKU already."""

    code = "sku_taken"


class CodeTaken(Conflict):
    """There is a location with this code already."""

    code = "code_taken"


class NoDefaultLocation(Conflict):
    """One location must be the default: make another one the default instead."""

    code = "no_default_location"


class StockConflict(Conflict):
    """The stock would fall below what is reserved or zero, or is not what was expected."""

    code = "stock_conflict"


@dataclass(frozen=True, kw_only=True)
class Shortage:
    """A product of which fewer pieces are available than were asked for.

    `line` is the position of the asking line in the request, from zero.
    """

    line: int
    product_id: UUID
    sku: str
    requested: int
    available: int


class OutOfStock(Conflict):
    """There is not enough stock; nothing was reserved."""

    code = "out_of_stock"

    def __init__(self, shortages: Sequence[Shortage]) -> None:
        super().__init__()
        self.shortages = tuple(shortages)

    @property
    def errors(self) -> Sequence[InputError]:
        return [
            InputError(
                pointer=f"/items/{shortage.line}/quantity",
                code="out_of_stock",
                detail=f"{shortage.requested} requested, {shortage.available} available.",
                data={
                    "product_id": str(shortage.product_id),
                    "sku": shortage.sku,
                    "requested": shortage.requested,
                    "available": shortage.available,
                },
            )
            for shortage in self.shortages
        ]
