"""The rows of the table, in its order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import requests
from benchmarks.requests import Requests
from benchmarks.seeding import Dataset


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One row of the table.

    `requests` are sent over so many `connections`; None for what is measured otherwise. `orders`
    is how many orders one request places.
    """

    name: str
    title: str
    connections: int = 16
    requests: Callable[[Dataset], Requests] | None = None
    orders: int = 1


SCENARIOS = (
    Scenario(name="plain", title="plain SQL of a placement, simple protocol"),
    Scenario(name="prepared", title="plain SQL of a placement, prepared"),
    Scenario(name="loader", title="an endpoint that does nothing"),
    Scenario(name="place1", title="place an order", connections=1, requests=requests.placing),
    Scenario(name="place16", title="place an order", requests=requests.placing),
    Scenario(name="place64", title="place an order", connections=64, requests=requests.placing),
    Scenario(name="place256", title="place an order", connections=256, requests=requests.placing),
    Scenario(
        name="hot64",
        title="place an order, one hot product",
        connections=64,
        requests=requests.placing_hot,
    ),
    Scenario(
        name="bulk",
        title="place 100 orders in a request (orders)",
        connections=4,
        requests=requests.placing_in_bulk,
        orders=requests.BULK_SIZE,
    ),
    Scenario(name="background", title="place an order, workers running"),
    Scenario(name="detail", title="order detail", requests=requests.order_details),
    Scenario(name="status", title="order status", requests=requests.order_statuses),
    Scenario(
        name="detail304",
        title="order detail, unchanged",
        requests=requests.order_details_unchanged,
    ),
    Scenario(name="orders", title="own orders, 20", requests=requests.own_orders),
    Scenario(name="all-orders", title="all orders, 20", requests=requests.all_orders),
    Scenario(name="products", title="products, 50, cached", requests=requests.product_list),
    Scenario(name="products-cold", title="products, 50, cold", requests=requests.product_list_cold),
    Scenario(name="products304", title="products, unchanged"),
    Scenario(name="login", title="log in", connections=4, requests=requests.logins),
)
