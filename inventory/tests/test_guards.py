"""Constraints of stock in the database."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, models, transaction
from django.db.models import ProtectedError

from inventory.models import Location, Product, StockLevel, StockMovement
from oms.core import clock
from oms.testing.factories import make_location, make_product

pytestmark = pytest.mark.django_db


def error_of(statement: str, *parameters: Any) -> str:
    """The database's error for the raw `statement`."""
    with (
        pytest.raises(DatabaseError) as refusal,
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement, parameters)
    return str(refusal.value)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE inventory_stockmovement SET note = 'x'",
        "DELETE FROM inventory_stockmovement",
        "TRUNCATE inventory_stockmovement",
        "TRUNCATE inventory_product CASCADE",
    ],
)
def test_the_ledger_is_append_only(statement: str) -> None:
    make_product(stock=5)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # TRUNCATE waits for no deferred check
    before = list(StockMovement.objects.values())

    assert "inventory_stockmovement is append-only" in error_of(statement)
    assert list(StockMovement.objects.values()) == before


@pytest.mark.parametrize(
    ("model", "change", "constraint"),
    [
        (StockLevel, {"reserved": 6}, "stock_reserved_within_on_hand"),
        (StockLevel, {"reserved": -1}, "stock_reserved_in_range"),
        (StockLevel, {"on_hand": -1}, "stock_on_hand_in_range"),
        (StockLevel, {"on_hand": 2_000_000_001}, "stock_on_hand_in_range"),
        (StockLevel, {"reserved": 2_000_000_001, "backorderable": True}, "stock_reserved_in_range"),
        (Product, {"price": "-0.01"}, "product_price_in_range"),
        (Product, {"price": "10000000"}, "product_price_in_range"),
        (Product, {"price": "19.901"}, "product_price_fits_currency"),
        (Product, {"low_stock_threshold": 2_000_000_001}, "product_threshold_in_range"),
        (Product, {"low_stock_threshold": -1}, "low_stock_threshold_check"),
        (Product, {"version": -1}, "version_check"),
    ],
)
def test_invalid_numbers_are_rejected(
    model: type[models.Model], change: dict[str, Any], constraint: str
) -> None:
    make_product(stock=5)
    manager: Any = model._default_manager

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        manager.update(**change)


def test_skus_are_unique_ignoring_case() -> None:
    make_product(sku="LAMP-1")

    with pytest.raises(IntegrityError, match="product_sku_once"), transaction.atomic():
        Product.objects.create(sku="lamp-1", name="x", price=1, currency="EUR")


def test_a_product_has_one_stock_level_per_location() -> None:
    product = make_product()

    with pytest.raises(IntegrityError, match="stock_level_once"), transaction.atomic():
        StockLevel.objects.create(product=product, location=Location.objects.get())


def test_there_is_one_default_location() -> None:
    make_product()

    with pytest.raises(IntegrityError, match="location_one_default"), transaction.atomic():
        make_location(is_default=True)


def _movement(product: Product, **fields: Any) -> StockMovement:
    values = {
        "product": product,
        "location": Location.objects.get(),
        "kind": "adjust",
        "on_hand_delta": 1,
        "on_hand_after": 6,
        "reserved_after": 0,
        "reference": "test:1",
        "actor_label": "tests",
        "created_at": clock.now(),
        **fields,
    }
    return StockMovement.objects.create(**values)


def test_a_movement_is_unique_by_its_reference() -> None:
    product = make_product()
    _movement(product)

    with pytest.raises(IntegrityError, match="movement_once"), transaction.atomic():
        _movement(product)
    _movement(product, kind="receive")
    _movement(product, reference="test:2")


@pytest.mark.parametrize(
    ("kind", "on_hand", "reserved"),
    [
        *[("receive", -1, 0), ("receive", 0, 0), ("receive", 1, 1)],
        *[("adjust", 0, 0), ("adjust", 1, 1)],
        *[("reserve", 0, -1), ("reserve", 0, 0), ("reserve", 1, 1)],
        *[("release", 0, 1), ("release", -1, -1)],
        *[("ship", -1, 0), ("ship", 1, 1), ("ship", -1, -2)],
        *[("return", -1, 0), ("return", 1, 1)],
        ("steal", -1, 0),
    ],
)
def test_a_movement_changes_what_its_kind_allows(kind: str, on_hand: int, reserved: int) -> None:
    product = make_product()

    with (
        pytest.raises(IntegrityError, match="movement_moves_as_its_kind"),
        transaction.atomic(),
    ):
        _movement(product, kind=kind, on_hand_delta=on_hand, reserved_delta=reserved)


@pytest.mark.parametrize("balance", ["on_hand_after", "reserved_after"])
def test_balances_are_never_negative(balance: str) -> None:
    product = make_product()

    with (
        pytest.raises(IntegrityError, match="movement_balances_not_negative"),
        transaction.atomic(),
    ):
        _movement(product, **{balance: -1})


def test_rows_with_movements_cannot_be_deleted() -> None:
    product = make_product(stock=5)

    with pytest.raises(ProtectedError):
        product.delete()
    with pytest.raises(ProtectedError):
        Location.objects.get().delete()
    assert "violates foreign key" in error_of(
        "DELETE FROM inventory_product; SET CONSTRAINTS ALL IMMEDIATE"
    )
