"""The requests of each row, prepared before the clock runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

from benchmarks.stocking import ADDRESS, PASSWORD, Customer, Stock

# [head, tail, check] of benchmarks.loader.Job.
Call = list[Any]

_ORDERS = "/api/v1/orders"
_TEMPLATES = 4_000
_BULKS = 40
BULK_SIZE = 100
_PAGE = 50
# How many of a customer's orders a list asks for: as many as each has from the beginning.
_ORDERS_PAGE = 20


@dataclass(frozen=True, kw_only=True)
class Calls:
    """What is sent for a row; `checked_every` is how many answers go by for one that is read."""

    calls: Sequence[Call]
    status: int
    checked_every: int = 50


def placing(stock: Stock) -> Calls:
    """Orders of one to three lines, spread evenly over all products and customers."""
    return _placing(stock, products=stock.products, lines=3)


def placing_hot(stock: Stock) -> Calls:
    """Orders of one line, all of the same product."""
    return _placing(stock, products=stock.products[:1], lines=1)


def placing_in_bulk(stock: Stock) -> Calls:
    """A hundred such orders in a call."""
    random = Random(2)
    calls = []
    for number in range(_BULKS):
        orders = [_order(stock.products, 3, random=random) for _ in range(BULK_SIZE)]
        customer = stock.customers[number % len(stock.customers)]
        check = {"list": "results", "length": BULK_SIZE, "status": 201}
        calls.append(_post(stock, f"{_ORDERS}/bulk", {"orders": orders}, customer, check))
    return Calls(calls=calls, status=207, checked_every=5)


def order_details(stock: Stock) -> Calls:
    """Single orders, each asked for by its owner."""
    return _orders(stock, "", check=lambda items: {"list": "items", "length": items})


def order_details_unchanged(stock: Stock) -> Calls:
    """The same with the ETag that the client has."""
    calls = [
        _get(
            f"{_ORDERS}/{order.id}",
            token=stock.token(order.customer),
            etag=order.etag,
            check={"empty": True},
        )
        for order in stock.orders
    ]
    return Calls(calls=calls, status=304)


def order_statuses(stock: Stock) -> Calls:
    """The status calls of single orders."""
    return _orders(stock, "/status", check=lambda items: {"has": "history"})


def order_lists(stock: Stock) -> Calls:
    """The first page of each customer's orders."""
    check = {"list": "results", "length": _ORDERS_PAGE}
    calls = [
        _get(f"{_ORDERS}?page_size={_ORDERS_PAGE}", token=stock.token(customer), check=check)
        for customer in stock.customers
    ]
    return Calls(calls=calls, status=200)


def product_list(stock: Stock) -> Calls:
    """The first page of products, asked for again and again by anybody."""
    check = {"list": "results", "length": _PAGE}
    return Calls(calls=[_get("/api/v1/products", check=check)], status=200)


def product_list_cold(stock: Stock) -> Calls:
    """The same page under addresses that nobody has asked for before."""
    # A limit that holds nothing back: a number of twelve digits that the loader puts in.
    call = _get("/api/v1/products?price__lte=#", check={"list": "results", "length": _PAGE})
    head, tail = call[0].split("#")
    return Calls(calls=[[head, tail, call[2]]], status=200)


def product_list_unchanged(stock: Stock, etag: str) -> Calls:
    """The first page with the ETag that the client has."""
    return Calls(calls=[_get("/api/v1/products", etag=etag, check={"empty": True})], status=304)


def logins(stock: Stock) -> Calls:
    """E-mail address and password for a pair of tokens."""
    calls = [
        _post(
            stock,
            "/api/v1/auth/token",
            {"email": customer.email, "password": PASSWORD},
            None,
            {"has": "access"},
        )
        for customer in stock.customers
    ]
    return Calls(calls=calls, status=200, checked_every=5)


def nothing(stock: Stock) -> Calls:
    """Orders for an endpoint that answers without looking: the loader's own cost."""
    calls = [[head, tail, {"list": "items", "length": 1}] for head, tail, _ in placing(stock).calls]
    return Calls(calls=calls, status=201)


def _placing(stock: Stock, *, products: Sequence[UUID], lines: int) -> Calls:
    random = Random(1)
    calls = []
    for number in range(_TEMPLATES):
        order = _order(products, lines, random=random)
        customer = stock.customers[number % len(stock.customers)]
        check = {"list": "items", "length": len(order["items"])}
        calls.append(_post(stock, _ORDERS, order, customer, check))
    return Calls(calls=calls, status=201)


def _order(products: Sequence[UUID], lines: int, *, random: Random) -> dict[str, Any]:
    chosen = random.sample(products, k=random.randint(1, lines))
    return {
        "items": [
            {"product_id": str(product), "quantity": random.randint(1, 3)} for product in chosen
        ],
        "shipping_address": ADDRESS,
        "payment": {"provider": "sandbox", "token": "tok_success"},
    }


def _orders(stock: Stock, suffix: str, *, check: Any) -> Calls:
    calls = [
        _get(
            f"{_ORDERS}/{order.id}{suffix}",
            token=stock.token(order.customer),
            check=check(order.items),
        )
        for order in stock.orders
    ]
    Random(4).shuffle(calls)
    return Calls(calls=calls, status=200)


def _get(path: str, *, check: dict[str, Any], token: str = "", etag: str = "") -> Call:
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", "Accept: application/json"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if etag:
        lines.append(f"If-None-Match: {etag}")
    return ["\r\n".join(lines) + "\r\n\r\n", None, check]


def _post(
    stock: Stock,
    path: str,
    document: dict[str, Any],
    customer: Customer | None,
    check: dict[str, Any],
) -> Call:
    """A call with a key of its own, which the loader draws; a login bears neither key nor token."""
    body = json.dumps(document)
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Accept: application/json",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    head = "\r\n".join(lines)
    if customer is None:
        return [f"{head}\r\n\r\n{body}", None, check]
    head += f"\r\nAuthorization: Bearer {stock.token(customer)}\r\nIdempotency-Key: bench-"
    return [head, f"\r\n\r\n{body}", check]
