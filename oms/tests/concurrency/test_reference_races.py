"""Concurrent orders with one reference: exactly one is placed, however they arrive."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any
from unittest.mock import patch

import httpx
import pytest
from django.db import IntegrityError

from oms.testing.factories import actor_for, make_customer, make_product, tokens_for
from oms.testing.ordering import ADDRESS, outcomes_at_once, place, placement, stock_of
from oms.testing.processes import Processes
from orders import locks
from orders.models import Order
from orders.operations.editing import OrderEdit, edit_order
from orders.operations.placing import place_order

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def buyers(*, how_many: int) -> list[Any]:
    """Callables that place an order of the same customer with the same reference, once each."""
    customer = make_customer()
    # Of different products, so that no lock of stock keeps them apart.
    wanted = [
        replace(placement((make_product(), 1), customer=customer), reference="PO-1")
        for _ in range(how_many)
    ]
    actor = actor_for(customer)
    return [lambda one=one: place_order(actor=actor, placement=one) for one in wanted]


def kinds(outcomes: Any) -> dict[str, int]:
    return dict(Counter(type(outcome).__name__ for outcome in outcomes))


def test_of_twenty_orders_with_one_reference_one_is_placed() -> None:
    outcomes = outcomes_at_once(buyers(how_many=20))

    assert kinds(outcomes) == {"Placed": 1, "ReferenceTaken": 19}
    assert Order.objects.count() == 1


def test_without_the_lock_only_the_index_stops_them() -> None:
    """The negative control: the test above would notice if the lock were gone."""
    with patch.object(locks, "_LOCK_REFERENCES", "SELECT true FROM unnest(%s::bigint[])"):
        outcomes = outcomes_at_once(buyers(how_many=20))

    assert any(isinstance(outcome, IntegrityError) for outcome in outcomes)
    assert Order.objects.count() == 1


def test_an_edit_and_an_order_with_one_reference_exclude_each_other() -> None:
    customer = make_customer()
    for number in range(5):
        order, mug = place((make_product(), 1), customer=customer), make_product()
        reference = f"PO-{number}"
        wanted = replace(placement((mug, 1), customer=customer), reference=reference)

        def edit(order: Order = order, reference: str = reference) -> Any:
            return edit_order(
                actor=actor_for(customer), order_id=order.id, edit=OrderEdit(reference=reference)
            )

        def buy(wanted: Any = wanted) -> Any:
            return place_order(actor=actor_for(customer), placement=wanted)

        outcomes = kinds(outcomes_at_once([edit, buy]))

        assert outcomes in ({"Order": 1, "ReferenceTaken": 1}, {"Placed": 1, "ReferenceTaken": 1})
        assert Order.objects.filter(reference=reference).count() == 1


def test_of_twenty_requests_to_two_web_processes_one_is_placed() -> None:
    customer, mug = make_customer(), make_product(stock=100)
    headers = {"Authorization": f"Bearer {tokens_for(customer).access}"}
    content = {
        "items": [{"product_id": str(mug.id), "quantity": 1}],
        "shipping_address": {name: value for name, value in ADDRESS.items() if value},
        "reference": "PO-1",
    }
    start = Barrier(20)

    with Processes() as processes:
        processes.start("web", {"WEB_WORKERS": "2"})

        def order(_: int) -> int:
            with httpx.Client(base_url=processes.web_url, headers=headers, timeout=30) as client:
                client.get("/health")
                start.wait()
                return client.post("/api/v1/orders", json=content).status_code

        with ThreadPoolExecutor(20) as threads:
            statuses = Counter(threads.map(order, range(20)))

    assert statuses == {201: 1, 409: 19}
    assert Order.objects.count() == 1
    assert stock_of(mug) == (100, 1)
