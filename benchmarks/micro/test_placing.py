"""The parts of the web process's work for one placed order."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.test import RequestFactory

from benchmarks.seeding import ADDRESS
from oms.core.actor import Actor, ActorKind
from oms.core.ids import new_id, order_number
from oms.events.types import encode as encode_event
from oms.http.middleware.idempotency import _call
from oms.http.payloads import decode, encode
from oms.http.rate_limits import Limit, count
from orders.api.inputs import BulkOrderInput, OrderInput
from orders.api.outputs import order_document
from orders.events import OrderPlaced
from orders.models import Order
from orders.rows import ItemRow
from orders.states import OrderStatus
from orders.totals import PricedLine, order_totals

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

_NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
_ACTOR = Actor(kind=ActorKind.CUSTOMER, id=new_id(), label="bench@example.com")


def _order() -> dict[str, Any]:
    return {
        "items": [{"product_id": str(new_id()), "quantity": number} for number in (1, 2, 3)],
        "shipping_address": ADDRESS,
        "payment": {"provider": "sandbox", "token": "tok_success"},
    }


_BODY = json.dumps(_order()).encode()
_BULK_BODY = json.dumps({"orders": [_order() for _ in range(100)]}).encode()


def _validated(serializer: type[OrderInput] | type[BulkOrderInput], body: bytes) -> Any:
    parsed = serializer(data=decode(body))
    parsed.is_valid(raise_exception=True)
    return parsed.validated_data


def test_decoding_and_validating_an_order(benchmark: BenchmarkFixture) -> None:
    data = benchmark(_validated, OrderInput, _BODY)

    assert len(data["items"]) == 3


def test_decoding_and_validating_a_hundred_orders(benchmark: BenchmarkFixture) -> None:
    data = benchmark(_validated, BulkOrderInput, _BULK_BODY)

    assert len(data["orders"]) == 100


def test_decoding_an_order(benchmark: BenchmarkFixture) -> None:
    assert len(benchmark(decode, _BODY)["items"]) == 3


def test_adding_up_an_order(benchmark: BenchmarkFixture) -> None:
    lines = [PricedLine(unit_price=Decimal("19.90"), quantity=number) for number in (1, 2, 3)]

    assert benchmark(order_totals, lines, currency="EUR").total == Decimal("119.40")


def test_answering_with_an_order(benchmark: BenchmarkFixture) -> None:
    order = Order(
        number=order_number(placed_at=_NOW),
        customer_id=new_id(),
        currency="EUR",
        total=Decimal("119.40"),
        shipping_address=ADDRESS,
        placed_at=_NOW,
        updated_at=_NOW,
    )
    items = [
        ItemRow(
            id=new_id(),
            product_id=new_id(),
            sku="BENCH-0001",
            name="Bench product",
            quantity=1,
            unit_price="19.90",
            line_total="19.90",
            quantity_waiting=0,
            quantity_shipped=0,
            quantity_returned=0,
            quantity_cancelled=0,
        )
        for _ in range(3)
    ]

    body = benchmark(lambda: encode(order_document(order, items, actor=_ACTOR)))

    assert json.loads(body)["total"] == "119.40"


def test_encoding_an_event(benchmark: BenchmarkFixture) -> None:
    event = OrderPlaced(
        order_id=new_id(),
        number="20261121-7K3M9Q",
        customer_id=new_id(),
        status=OrderStatus.PENDING.value,
        total=Decimal("119.40"),
        currency="EUR",
    )

    assert benchmark(encode_event, event)["total"] == "119.40"


def test_digesting_a_call_with_a_key(benchmark: BenchmarkFixture) -> None:
    request = RequestFactory().post("/api/v1/orders", _BODY, content_type="application/json")

    assert len(benchmark(_call, request, "bench-100000000000").fingerprint) == 32


def test_counting_a_request_against_a_limit(benchmark: BenchmarkFixture) -> None:
    # With Valkey: its round trip is most of it.
    limit = Limit(name="place_user", subject="bench")

    [counted] = benchmark(count, [limit])

    assert counted.name == "place_user"


def test_drawing_an_id(benchmark: BenchmarkFixture) -> None:
    assert benchmark(new_id).version == 7


def test_drawing_an_order_number(benchmark: BenchmarkFixture) -> None:
    assert len(benchmark(lambda: order_number(placed_at=_NOW))) == 15
