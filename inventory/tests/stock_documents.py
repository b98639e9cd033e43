"""What the tests of receipts, transfers and counts share."""

from __future__ import annotations

from typing import Any

from inventory.checks import CHECKS
from inventory.models import Product, StockDocument, StockDocumentItem, StockLevel, StockMovement
from oms.events.models import Event
from oms.reconcile.runner import run_checks

RECEIPTS = "/api/v1/admin/inventory/receipts"
TRANSFERS = "/api/v1/admin/inventory/transfers"
COUNTS = "/api/v1/admin/inventory/counts"


def on_hand(product: Product, location: str = "main") -> int:
    """The quantity on hand at the location; 0 without a level."""
    levels = StockLevel.objects.filter(product=product, location__code=location)
    return sum(levels.values_list("on_hand", flat=True))


def stock_state() -> dict[str, list[Any]]:
    """All rows that a stock document may change."""
    models: tuple[Any, ...] = (StockLevel, StockMovement, StockDocument, StockDocumentItem)
    rows = {model.__name__: list(model.objects.order_by("pk").values()) for model in models}
    return {**rows, "events": list(Event.objects.order_by("position").values("id"))}


def violations() -> list[str]:
    """The names of the failed checks of stock."""
    return [finding.name for finding in run_checks(CHECKS) if not finding.holds]
