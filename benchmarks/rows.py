"""What is measured, row by row, in the order of the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import calls
from benchmarks.calls import Calls
from benchmarks.stocking import Stock


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of the table.

    `calls` makes the requests, which `connections` send; it is None for a yardstick, which
    pgbench drives, and for the row with the background, which is `place16` in a shop of its own.
    `orders` is how many orders a call places, if that is what is counted.
    """

    name: str
    title: str
    connections: int = 16
    calls: Callable[[Stock], Calls] | None = None
    orders: int = 1
    is_trivial: bool = False
    needs_etag_of: str = ""


ROWS = (
    Row(name="plain", title="plain SQL of a placement, simple protocol"),
    Row(name="prepared", title="plain SQL of a placement, prepared"),
    Row(
        name="loader",
        title="an endpoint that does nothing",
        calls=calls.nothing,
        is_trivial=True,
    ),
    Row(name="place1", title="place an order", connections=1, calls=calls.placing),
    Row(name="place16", title="place an order", calls=calls.placing),
    Row(name="place64", title="place an order", connections=64, calls=calls.placing),
    Row(name="place256", title="place an order", connections=256, calls=calls.placing),
    Row(
        name="hot64",
        title="place an order, one hot product",
        connections=64,
        calls=calls.placing_hot,
    ),
    Row(
        name="bulk",
        title="place 100 orders in a call (orders)",
        connections=4,
        calls=calls.placing_in_bulk,
        orders=calls.BULK_SIZE,
    ),
    Row(name="background", title="place an order, background on", calls=None),
    Row(name="detail", title="order detail", calls=calls.order_details),
    Row(name="status", title="order status", calls=calls.order_statuses),
    Row(name="detail304", title="order detail, unchanged", calls=calls.order_details_unchanged),
    Row(name="orders", title="order list of 20", calls=calls.order_lists),
    Row(name="products", title="product list of 50, cached", calls=calls.product_list),
    Row(name="products-cold", title="product list of 50, cold", calls=calls.product_list_cold),
    Row(
        name="products304",
        title="product list, unchanged",
        needs_etag_of="/api/v1/products",
        calls=calls.product_list,
    ),
    Row(name="login", title="log in", connections=4, calls=calls.logins),
)
