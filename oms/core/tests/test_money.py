"""Amounts and their currencies."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.serializers import ValidationError

from oms.api.fields import MoneyField
from oms.core.currencies import CURRENCIES, DECIMALS
from oms.core.errors import Invalid
from oms.core.money import (
    MAX_PRICE,
    formatted,
    from_minor_units,
    in_currency,
    minor_unit,
    rounded,
    to_minor_units,
)

Money = tuple[Decimal, str]
MONEY = st.sampled_from(sorted(CURRENCIES)).flatmap(
    lambda currency: st.tuples(
        st.decimals(min_value=0, max_value=9_999_999, places=DECIMALS[currency]),
        st.just(currency),
    )
)


@given(MONEY)
def test_an_amount_of_any_currency_survives_its_text(money: Money) -> None:
    amount, currency = money

    text = formatted(amount, currency)

    read = MoneyField().to_internal_value(text)
    exact = in_currency(read, currency, pointer="/price")
    assert (exact, exact.as_tuple().exponent) == (amount, -DECIMALS[currency])
    assert formatted(exact, currency) == text
    assert len(text.partition(".")[2]) == DECIMALS[currency]


@given(MONEY)
def test_an_amount_of_any_currency_survives_its_minor_units(money: Money) -> None:
    amount, currency = money

    units = to_minor_units(amount, currency)

    assert units == amount * 10 ** DECIMALS[currency]
    assert str(from_minor_units(units, currency)) == formatted(amount, currency)


@given(MONEY)
def test_half_a_minor_unit_is_refused_in_any_currency(money: Money) -> None:
    amount, currency = money
    finer = amount + minor_unit(currency) / 2

    with pytest.raises(Invalid) as caught:
        in_currency(finer, currency, pointer="/amount")
    with pytest.raises(ValueError, match="minor units"):
        to_minor_units(finer, currency)

    [error] = caught.value.errors
    assert (error.pointer, error.code) == ("/amount", "invalid")
    assert currency in error.detail


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("4997.5", "JPY", "4998"),
        ("-4997.5", "JPY", "-4998"),
        ("30.8625", "KWD", "30.863"),
        ("4999.775", "HUF", "4999.78"),
        ("0", "KWD", "0.000"),
        ("12", "EUR", "12.00"),
        ("12.00", "JPY", "12"),
    ],
)
def test_halves_are_rounded_away_from_zero(amount: str, currency: str, expected: str) -> None:
    assert str(rounded(Decimal(amount), currency)) == expected


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1.0001", "invalid"),
        ("0", "min_value"),
        ("0.000", "min_value"),
        ("-1", "min_value"),
        (str(MAX_PRICE + Decimal("0.001")), "max_value"),
        ("9" * 17, "invalid"),
    ],
)
def test_no_currency_has_such_a_positive_amount(text: str, code: str) -> None:
    with pytest.raises(ValidationError) as caught:
        MoneyField(is_positive=True).to_internal_value(text)

    assert caught.value.get_codes() == [code]
