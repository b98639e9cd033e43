"""Money: decimals with as many places as the currency has, rounded only here."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Case, F, Func, Q, When
from django.db.models.functions import Greatest
from django.db.models.lookups import LessThanOrEqual

from oms.core.currencies import DECIMALS, MOST_DECIMALS
from oms.core.errors import InputError, Invalid

ZERO = Decimal(0)
MAX_PRICE = Decimal("9999999.999")

# Looked up for each amount of each response.
_FORMATS = {currency: f".{decimals}f" for currency, decimals in DECIMALS.items()}
_UNITS = {currency: Decimal(1).scaleb(-decimals) for currency, decimals in DECIMALS.items()}


def minor_unit(currency: str) -> Decimal:
    """The smallest amount of the currency: 0.01 EUR, 1 JPY, 0.001 KWD."""
    return _UNITS[currency]


def rounded(amount: Decimal, currency: str) -> Decimal:
    """`amount` with exactly the currency's decimals, halves away from zero."""
    return amount.quantize(_UNITS[currency], rounding=ROUND_HALF_UP)


def formatted(amount: Decimal, currency: str) -> str:
    """`amount` as text with exactly the currency's decimals, such as "12.00", "1200", "12.500"."""
    return format(amount, _FORMATS[currency])


def with_currency(amount: Decimal, currency: str) -> str:
    """The amount with exactly the decimals of the currency, and its code: "12.00 EUR"."""
    return f"{formatted(amount, currency)} {currency}"


def in_currency(amount: Decimal, currency: str, *, pointer: str) -> Decimal:
    """`amount` with exactly the currency's decimals.

    Raises Invalid with the `pointer` of the input if it has more.
    """
    exact = rounded(amount, currency)
    if exact != amount:
        allowed = f"at most {DECIMALS[currency]}" if DECIMALS[currency] else "no"
        detail = f"An amount in {currency} has {allowed} decimals."
        raise Invalid([InputError(pointer=pointer, code="invalid", detail=detail)])
    return exact


def to_minor_units(amount: Decimal, currency: str) -> int:
    """`amount` in ISO 4217's minor units: 1250 for 12.50 EUR, 1200 for 1200 JPY.

    Raises ValueError if it has more decimals than the currency.
    """
    units = amount.scaleb(DECIMALS[currency])
    if units != int(units):
        raise ValueError(f"{amount} {currency} is not in whole minor units.")
    return int(units)


def from_minor_units(units: int, currency: str) -> Decimal:
    """The amount, with exactly the currency's decimals, of so many minor units."""
    return Decimal(units).scaleb(-DECIMALS[currency])


class MoneyField(models.DecimalField[Any, Any]):
    """An amount whose currency, and with it the number of decimals, is another field.

    The column is `numeric` without a scale, which keeps the decimals that are written. See
    docs/decisions/0025-currency-decimals.md.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("max_digits", 18)
        options["decimal_places"] = MOST_DECIMALS
        options.setdefault("validators", [MinValueValidator(ZERO)])
        super().__init__(*args, **options)

    def db_type(self, connection: Any) -> str:
        return "numeric"


def fits_currency(*fields: str) -> Q:
    """The condition that the amounts have at most the decimals of the row's `currency`."""
    by_decimals: dict[int, list[str]] = {}
    for currency, decimals in DECIMALS.items():
        by_decimals.setdefault(decimals, []).append(currency)
    by_decimals.pop(2)
    used = [
        Func(F(field), function="min_scale", output_field=models.IntegerField()) for field in fields
    ]
    return Q(
        LessThanOrEqual(
            Greatest(*used) if len(used) > 1 else used[0],
            Case(
                *(
                    When(currency__in=sorted(currencies), then=decimals)
                    for decimals, currencies in sorted(by_decimals.items())
                ),
                default=2,
                output_field=models.IntegerField(),
            ),
        )
    )


class CurrencyField(models.CharField[Any, Any]):
    """An ISO 4217 code in capitals."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options["max_length"] = 3
        options.setdefault("validators", [RegexValidator(r"^[A-Z]{3}$")])
        super().__init__(*args, **options)
