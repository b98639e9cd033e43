"""Totals of orders."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from oms.core.money import MAX_PRICE
from orders.totals import PricedLine, order_totals

LINES = st.lists(
    st.builds(
        PricedLine,
        unit_price=st.decimals(min_value=0, max_value=MAX_PRICE, places=2),
        quantity=st.integers(min_value=1, max_value=10_000),
    ),
    max_size=100,
)


def test_no_lines_total_zero() -> None:
    assert order_totals([], currency="EUR").total == Decimal("0.00")


@given(LINES)
def test_totals_are_exact_to_the_cent(lines: list[PricedLine]) -> None:
    totals = order_totals(lines, currency="EUR")

    cents = [int(line.unit_price * 100) * line.quantity for line in lines]
    assert [int(total * 100) for total in totals.lines] == cents
    assert int(totals.total * 100) == sum(cents)
    assert all(total.as_tuple().exponent == -2 for total in totals.lines)
