"""Errors of inventory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from oms.core.errors import Conflict, InputError


class SkuTaken(Conflict):
    """A product with this SKU already exists."""

    code = "sku_taken"


class CodeTaken(Conflict):
    """A location with this code already exists."""

    code = "code_taken"


class NoDefaultLocation(Conflict):
    """There must be a default location. Make another location the default instead."""

    code = "no_default_location"


class StockConflict(Conflict):
    """The stock level doesn't allow this change."""

    code = "stock_conflict"


class StockLinesConflict(StockConflict):
    """The stock doesn't allow this for some items. Nothing was booked."""

    def __init__(self, errors: Sequence[InputError]) -> None:
        super().__init__()
        self._errors = tuple(errors)

    @property
    def errors(self) -> Sequence[InputError]:
        return self._errors


class ReferenceTaken(Conflict):
    """Another document with different content has this reference."""

    code = "reference_taken"


class InStock(Conflict):
    """The product is available now, so there is nothing to wait for."""

    code = "in_stock"


@dataclass(frozen=True, kw_only=True)
class Shortage:
    """A product with less stock than requested; `line` is the item's index in the request."""

    line: int
    product_id: UUID
    sku: str
    requested: int
    available: int


class OutOfStock(Conflict):
    """Not enough stock. Nothing was reserved."""

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
