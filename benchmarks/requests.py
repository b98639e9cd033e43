"""The requests of each scenario, prepared before the clock runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from benchmarks.seeding import ADDRESS, PASSWORD, Account, Dataset, SeededOrder, random_items

# [head, tail, check] of benchmarks.load_generator.Job.
Request = list[Any]

BULK_SIZE = 100
_ORDERS = "/api/v1/orders"
_PRODUCTS = "/api/v1/products"
_PLACEMENTS, _BULKS = 4_000, 40
_PRODUCTS_PER_PAGE, _ORDERS_PER_PAGE = 50, 20
_PAGE_OF_PRODUCTS = {"list": "results", "length": _PRODUCTS_PER_PAGE}
_PAGE_OF_ORDERS = {"list": "results", "length": _ORDERS_PER_PAGE}


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
    check = {"list": "results", "length": BULK_SIZE, "status": 201}
    requests = []
    for customer in data.customers[:_BULKS]:
        body = {"orders": [_order(data.products, 3, random=random) for _ in range(BULK_SIZE)]}
        requests.append(_post(f"{_ORDERS}/bulk", body, check=check, token=customer.token()))
    return Requests(requests=requests, status=207, sample_every=5)


def order_details(data: Dataset) -> Requests:
    """Single orders, each read by its owner."""
    requests = [
        _get(
            f"{_ORDERS}/{order.id}",
            token=order.customer.token(),
            check={"list": "items", "length": order.items},
        )
        for order in _shuffled(data)
    ]
    return Requests(requests=requests, status=200)


def order_details_unchanged(data: Dataset) -> Requests:
    """The same with the current ETag."""
    requests = [
        _get(
            f"{_ORDERS}/{order.id}",
            token=order.customer.token(),
            etag=order.etag,
            check={"empty": True},
        )
        for order in _shuffled(data)
    ]
    return Requests(requests=requests, status=304)


def order_statuses(data: Dataset) -> Requests:
    """The status of single orders."""
    requests = [
        _get(f"{_ORDERS}/{order.id}/status", token=order.customer.token(), check={"has": "history"})
        for order in _shuffled(data)
    ]
    return Requests(requests=requests, status=200)


def own_orders(data: Dataset) -> Requests:
    """The first page of each customer's orders."""
    return _order_lists(_ORDERS, data.customers)


def all_orders(data: Dataset) -> Requests:
    """The first page of all orders, as staff see it."""
    return _order_lists("/api/v1/admin/orders", [data.staff])


def product_list(data: Dataset) -> Requests:
    """The first page of products, from anonymous clients."""
    return Requests(requests=[_get(_PRODUCTS, check=_PAGE_OF_PRODUCTS)], status=200)


def product_list_cold(data: Dataset) -> Requests:
    """The same page at URLs that are not cached."""
    # The load generator puts a unique number of twelve digits between the two, above all prices.
    head, tail = _get(f"{_PRODUCTS}?price__lte=#", check={})[0].split("#")
    return Requests(requests=[[head, tail, _PAGE_OF_PRODUCTS]], status=200)


def product_list_unchanged(etag: str) -> Requests:
    """The first page with the current ETag."""
    request = _get(_PRODUCTS, etag=etag, check={"empty": True})
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
        requests.append(_post(_ORDERS, order, check=check, token=customer.token()))
    return Requests(requests=requests, status=201)


def _order(products: Sequence[str], lines: int, *, random: Random) -> dict[str, Any]:
    return {
        "items": random_items(products, lines, random=random),
        "shipping_address": ADDRESS,
        "payment": {"provider": "sandbox", "token": "tok_success"},
    }


def _shuffled(data: Dataset) -> list[SeededOrder]:
    return Random(4).sample(data.orders, k=len(data.orders))


def _order_lists(path: str, accounts: Sequence[Account]) -> Requests:
    path = f"{path}?page_size={_ORDERS_PER_PAGE}"
    requests = [_get(path, token=one.token(), check=_PAGE_OF_ORDERS) for one in accounts]
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
