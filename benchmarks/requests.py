"""The requests of each scenario, prepared before the clock runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from benchmarks.seeding import ADDRESS, PASSWORD, Account, Dataset

# [head, tail, check] of benchmarks.load_generator.Job.
Request = list[Any]

BULK_SIZE = 100
_ORDERS = "/api/v1/orders"
_PLACEMENTS, _BULKS = 4_000, 40
_PRODUCTS_PER_PAGE, _ORDERS_PER_PAGE = 50, 20


@dataclass(frozen=True, kw_only=True)
class Requests:
    """What is sent, again and again; the body of one answer in `sample_every` is checked."""

    requests: Sequence[Request]
    status: int
    sample_every: int = 50


def placing(data: Dataset) -> Requests:
    """Orders of one to three lines, spread evenly over all products and customers."""
    return _placing(data, products=data.products, lines=3)


def placing_hot(data: Dataset) -> Requests:
    """Orders of one line, all of the same product."""
    return _placing(data, products=data.products[:1], lines=1)


def placing_in_bulk(data: Dataset) -> Requests:
    """A hundred orders in a request."""
    random = Random(2)
    requests = []
    for number in range(_BULKS):
        orders = [_order(data.products, 3, random=random) for _ in range(BULK_SIZE)]
        customer = data.customers[number % len(data.customers)]
        check = {"list": "results", "length": BULK_SIZE, "status": 201}
        requests.append(
            _post(f"{_ORDERS}/bulk", {"orders": orders}, check=check, token=data.token(customer))
        )
    return Requests(requests=requests, status=207, sample_every=5)


def order_details(data: Dataset) -> Requests:
    """Single orders, each read by its owner."""
    return _orders(data, "", check=lambda items: {"list": "items", "length": items})


def order_details_unchanged(data: Dataset) -> Requests:
    """The same with the current ETag."""
    requests = [
        _get(
            f"{_ORDERS}/{order.id}",
            token=data.token(order.customer),
            etag=order.etag,
            check={"empty": True},
        )
        for order in data.orders
    ]
    return Requests(requests=requests, status=304)


def order_statuses(data: Dataset) -> Requests:
    """The status of single orders."""
    return _orders(data, "/status", check=lambda items: {"has": "history"})


def own_orders(data: Dataset) -> Requests:
    """The first page of each customer's orders."""
    return _order_lists(data, "/api/v1/orders", data.customers)


def all_orders(data: Dataset) -> Requests:
    """The first page of all orders, as staff see it."""
    return _order_lists(data, "/api/v1/admin/orders", [data.staff])


def product_list(data: Dataset) -> Requests:
    """The first page of products, from anonymous clients."""
    check = {"list": "results", "length": _PRODUCTS_PER_PAGE}
    return Requests(requests=[_get("/api/v1/products", check=check)], status=200)


def product_list_cold(data: Dataset) -> Requests:
    """The same page at URLs that are not cached."""
    check = {"list": "results", "length": _PRODUCTS_PER_PAGE}
    # The load generator replaces # by a unique number of twelve digits, above all prices.
    request = _get("/api/v1/products?price__lte=#", check=check)
    head, tail = request[0].split("#")
    return Requests(requests=[[head, tail, check]], status=200)


def product_list_unchanged(data: Dataset, etag: str) -> Requests:
    """The first page with the current ETag."""
    request = _get("/api/v1/products", etag=etag, check={"empty": True})
    return Requests(requests=[request], status=304)


def logins(data: Dataset) -> Requests:
    """E-mail address and password for a pair of tokens."""
    requests = [
        _post(
            "/api/v1/auth/token",
            {"email": customer.email, "password": PASSWORD},
            check={"has": "access"},
        )
        for customer in data.customers
    ]
    return Requests(requests=requests, status=200, sample_every=5)


def noop(data: Dataset) -> Requests:
    """Orders for an endpoint that ignores them: the load generator's own cost."""
    check = {"list": "items", "length": 1}
    requests = [[head, tail, check] for head, tail, _ in placing(data).requests]
    return Requests(requests=requests, status=201)


def _placing(data: Dataset, *, products: Sequence[str], lines: int) -> Requests:
    random = Random(1)
    requests = []
    for number in range(_PLACEMENTS):
        order = _order(products, lines, random=random)
        customer = data.customers[number % len(data.customers)]
        check = {"list": "items", "length": len(order["items"])}
        requests.append(_post(_ORDERS, order, check=check, token=data.token(customer)))
    return Requests(requests=requests, status=201)


def _order(products: Sequence[str], lines: int, *, random: Random) -> dict[str, Any]:
    chosen = random.sample(products, k=random.randint(1, lines))
    return {
        "items": [{"product_id": product, "quantity": random.randint(1, 3)} for product in chosen],
        "shipping_address": ADDRESS,
        "payment": {"provider": "sandbox", "token": "tok_success"},
    }


def _orders(data: Dataset, suffix: str, *, check: Callable[[int], dict[str, Any]]) -> Requests:
    requests = [
        _get(
            f"{_ORDERS}/{order.id}{suffix}",
            token=data.token(order.customer),
            check=check(order.items),
        )
        for order in data.orders
    ]
    Random(4).shuffle(requests)
    return Requests(requests=requests, status=200)


def _order_lists(data: Dataset, path: str, accounts: Sequence[Account]) -> Requests:
    check = {"list": "results", "length": _ORDERS_PER_PAGE}
    requests = [
        _get(f"{path}?page_size={_ORDERS_PER_PAGE}", token=data.token(account), check=check)
        for account in accounts
    ]
    return Requests(requests=requests, status=200)


def _get(path: str, *, check: dict[str, Any], token: str = "", etag: str = "") -> Request:
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", "Accept: application/json"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if etag:
        lines.append(f"If-None-Match: {etag}")
    return ["\r\n".join(lines) + "\r\n\r\n", None, check]


def _post(path: str, body: Any, *, check: dict[str, Any], token: str = "") -> Request:
    """A request; with a token also with a unique Idempotency-Key from the load generator."""
    document = json.dumps(body)
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Accept: application/json",
        "Content-Type: application/json",
        f"Content-Length: {len(document)}",
    ]
    head = "\r\n".join(lines)
    if not token:
        return [f"{head}\r\n\r\n{document}", None, check]
    head += f"\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: bench-"
    return [head, f"\r\n\r\n{document}", check]
