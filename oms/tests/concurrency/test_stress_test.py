"""The stress test against real processes; and its verification can fail."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from inventory.models import Product, StockLevel
from oms.stress.client import Outcome
from oms.stress.fixtures import StockedProduct
from oms.stress.verification import inconsistencies, oversold
from oms.testing.factories import actor_for, make_customer, make_product
from oms.testing.processes import Processes
from orders.models import Order
from orders.operations.placing import place_order
from orders.placements import OrderedItem, Placed, Placement

ADDRESS = {"name": "A", "line1": "B 1", "city": "C", "postal_code": "12345", "country": "DE"}


@pytest.fixture(scope="module")
def servers(module_processes: Processes) -> Processes:
    """Two web processes, and the provider whose ledger is compared in the end."""
    module_processes.start("provider")
    module_processes.start("web", {"WEB_WORKERS": "2"})
    return module_processes


@pytest.fixture
def web(servers: Processes, transactional_db: None, settings: Settings) -> Processes:
    settings.SANDBOX_PROVIDER_URL = servers.provider_url
    return servers


def output(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
@pytest.mark.parametrize(("num", "batch"), [(60, 1), (60, 7)])
def test_every_order_of_a_stress_test_is_placed_and_verified(
    web: Processes, capsys: pytest.CaptureFixture[str], num: int, batch: int
) -> None:
    call_command(
        "stress_test", num=num, batch=batch, concurrency=8, products=4, base_url=web.web_url
    )

    out = output(capsys)
    assert f"Placed {num} orders in" in out
    assert f"Answered 201 {num}" in out
    assert re.search(r"[\d.,]+ orders per second p50 [\d,]+ ms p95 [\d,]+ ms p99 [\d,]+ ms", out)
    assert f"Verified: each of {num} acknowledged orders exists once" in out
    assert Order.objects.count() == num
    assert not Product.objects.filter(is_active=True).exists()


@pytest.mark.slow
def test_of_many_buyers_of_the_last_units_exactly_so_many_get_one(
    web: Processes, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("stress_test", buyers=100, stock=10, base_url=web.web_url)

    out = output(capsys)
    assert "Answered 201 10" in out
    assert "Answered 409 90" in out
    assert Order.objects.count() == 10
    [level] = StockLevel.objects.all()
    assert (level.on_hand, level.reserved) == (10, 10)


@pytest.mark.slow
def test_without_the_lock_the_same_buyers_oversell_or_get_errors(
    processes: Processes, capsys: pytest.CaptureFixture[str]
) -> None:
    """The control of the test above: on servers that do not lock the stock, it fails."""
    processes.start(
        "web",
        {
            "WEB_WORKERS": "2",
            # Each order alone: in batches too few would compete.
            "FAST_PATH": "0",
            "DJANGO_SETTINGS_MODULE": "oms.tests.concurrency.unlocked",
        },
    )

    with pytest.raises(CommandError, match="problems with these orders"):
        call_command("stress_test", buyers=100, stock=10, base_url=processes.web_url, offline=True)

    out = output(capsys)
    assert "orders were placed instead of 10" in out or "got no answer, or a server error" in out
    [level] = StockLevel.objects.all()
    assert level.reserved <= 10  # the constraint, which holds without any lock


@pytest.mark.django_db
@pytest.mark.parametrize(
    "url", ["http://192.0.2.1:8000", "http://shop.example.com", "https://127.0.0.1", "nonsense"]
)
def test_a_shop_on_another_machine_is_refused_before_anything_is_created(url: str) -> None:
    with pytest.raises(CommandError, match="on this machine"):
        call_command("stress_test", num=1, base_url=url)

    assert not Product.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "options", [{"num": 0}, {"batch": 501}, {"concurrency": 0}, {"timeout": 900.0}, {"buyers": 0}]
)
def test_a_number_out_of_range_is_refused(options: dict[str, Any]) -> None:
    [name] = options

    with pytest.raises(CommandError, match=f"--{name} is a number from"):
        call_command("stress_test", **options)


@pytest.mark.django_db(transaction=True)
def test_a_shop_that_does_not_answer_ends_in_time(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError, match="1 problems"):
        call_command("stress_test", num=3, timeout=1, base_url="http://127.0.0.1:9", offline=True)

    assert "3 orders got no answer" in output(capsys)


def placed(note: str, product: Product) -> Placed:
    customer = make_customer()
    return place_order(
        actor=actor_for(customer),
        placement=Placement(
            customer_id=customer.id,
            items=[OrderedItem(product_id=product.id, quantity=2)],
            shipping_address=ADDRESS,
            note=note,
        ),
    )


@pytest.mark.django_db
def test_verification_finds_lost_duplicate_and_unrequested_orders() -> None:
    product = make_product()
    kept = placed("stress r 0", product).order
    for note in ("stress r 1", "stress r 2", "stress r 2", "stress r 3"):
        placed(note, product)
    outcome = Outcome(
        acknowledged={"stress r 0": str(kept.id), "stress r 4": "an id"},
        refused={"stress r 1"},
        unanswered={"stress r 2"},
    )

    found = inconsistencies(outcome, run="r")

    assert [re.sub(r"[0-9a-f-]{36}", "ID", sentence) for sentence in found] == [
        "stress r 2 was placed 2 times: ID, ID",
        "stress r 4 was acknowledged as an id, but is lost",
        "stress r 1 was refused but exists",
        "stress r 3 exists but was not requested",
    ]


@pytest.mark.django_db
def test_verification_finds_oversold_products() -> None:
    product = make_product(stock=10)
    placed("stress r 0", product)
    assert oversold([StockedProduct(id=product.id, stock=10)]) == []

    assert oversold([StockedProduct(id=product.id, stock=1)]) == [
        f"{product.sku}: 2 sold of 1, 10 on hand, 2 reserved"
    ]
    StockLevel.objects.filter(product=product).update(reserved=1)
    assert oversold([StockedProduct(id=product.id, stock=10)]) == [
        f"{product.sku}: 2 sold of 10, 10 on hand, 1 reserved"
    ]
