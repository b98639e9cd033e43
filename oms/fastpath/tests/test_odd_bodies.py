"""Unusual bodies have the same answer and the same effect by the fast path and by Django."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oms.core.ids import new_id
from oms.fastpath.tests.test_parity import Both, body, compared
from oms.testing.factories import make_customer, make_product
from orders.models import Order

pytestmark = pytest.mark.django_db


def odd_bodies(product_id: str) -> list[bytes]:
    good = {**body(), "items": [{"product_id": product_id, "quantity": 1}]}

    def changed(**changes: Any) -> bytes:
        return json.dumps({**good, **changes}).encode()

    def line(**changes: Any) -> bytes:
        return changed(items=[{"product_id": product_id, "quantity": 1, **changes}])

    text = json.dumps(good)
    return [
        b"",
        b"null",
        b"[]",
        b"\xef\xbb\xbf" + text.encode(),
        text.encode("utf-16"),
        b" \n" + text.encode() + b"\t ",
        text.encode() + b"x",
        text.replace('"quantity"', '"quantity": 5, "quantity"').encode(),
        text.replace('"quantity"', '"\\u0071uantity"').encode(),
        text.replace('"quantity": 1', '"quantity": 1.0').encode(),
        text.replace('"quantity": 1', '"quantity": 1e0').encode(),
        text.replace('"quantity": 1', '"quantity": -0').encode(),
        text.replace('"quantity": 1', '"quantity": 100000000000000000000000000000').encode(),
        text.replace('"quantity": 1', '"quantity": NaN').encode(),
        line(quantity="1"),
        line(quantity=True),
        line(quantity=0),
        line(price="0.01"),
        line(product_id=product_id.upper()),
        line(product_id=product_id.replace("-", "")),
        line(product_id=f"{{{product_id}}}"),
        line(product_id=f"urn:uuid:{product_id}"),
        line(product_id=str(new_id())),
        changed(items=[{"product_id": product_id, "quantity": 1}] * 2),
        changed(items=[{"product_id": p, "quantity": 1} for p in (product_id, product_id.upper())]),
        changed(items=[]),
        changed(note=""),
        changed(note="a\u0000b"),
        changed(note="\ud800"),
        changed(note=" padded "),
        changed(note="\u200b\u2028\ufeff\U0001f600"),
        changed(note="x" * 70_000),
        changed(note=None),
        changed(payment=None),
        changed(payment={"provider": "nobody", "token": "x"}),
        changed(payment={"provider": "sandbox", "token": "tok_success"}),
        *(changed(reference=odd) for odd in ("", "x" * 65, "a\tb", 5, None)),
        *(changed(language=odd) for odd in ("pt-BR", "de ", "d", "de_DE", "de-\n", "x" * 36)),
        *(
            changed(metadata={"a": odd})
            for odd in ("", " x\n", "\u0001", "x" * 501, 5, None, {"b": "x"})
        ),
        *(changed(metadata={odd: "x"}) for odd in ("", " x ", "a\tb", "x" * 41, "__proto__", "ä")),
        *(changed(metadata={f"n{n}": "" for n in range(many)}) for many in (0, 20, 21)),
        changed(metadata={"a": "1"}).replace(b'"a": "1"', b'"a": "1", "a": "2"'),
        changed(metadata=[]),
        changed(metadata=None),
        changed(billing_address=good["shipping_address"]),
        changed(billing_address={**good["shipping_address"], "line2": "x", "planet": "Mars"}),
        changed(billing_address=None),
        changed(internal_note=""),
        changed(internal_note="x"),
        changed(customer_id=product_id),
        changed(status="paid"),
        changed(total="0.00"),
        changed(is_staff=True),
        changed(shipping_address={**good["shipping_address"], "country": "de"}),
        changed(shipping_address={**good["shipping_address"], "country": "ZZ"}),
        changed(shipping_address={**good["shipping_address"], "name": ""}),
        changed(shipping_address={"deep": [[[[]]]]}),
    ]


def test_unusual_bodies_have_the_same_response_and_effect() -> None:
    both = Both(make_customer())
    mug = make_product(stock=10_000)

    for odd in odd_bodies(str(mug.id)):
        answers, effects = [], []
        for client in (both.django, both.fast):
            before = Order.objects.count()
            answers.append(client.post("/api/v1/orders", odd, content_type="application/json"))
            effects.append(Order.objects.count() - before)
        by_django, by_fast_path = answers

        assert by_fast_path.status_code == by_django.status_code, (odd, by_fast_path.content)
        assert compared(by_fast_path).keys() == compared(by_django).keys()
        assert lasting(by_fast_path) == lasting(by_django), odd
        assert effects[0] == effects[1] == (by_django.status_code == 201), odd
    assert 0 < sum(both.fast.taken) < len(both.fast.taken)


def lasting(answer: Any) -> Any:
    """The document of an answer without what is new in each."""
    fresh = {"id", "number", "request_id", "placed_at", "updated_at", "expires_at", "items"}
    document = answer.json()
    items = document.get("items", [])
    return [
        {name: value for name, value in document.items() if name not in fresh},
        [{name: value for name, value in item.items() if name != "id"} for item in items],
    ]
