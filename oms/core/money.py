"""Money: decimals with two places, rounded only here."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django.core.validators import MinValueValidator, RegexValidator
from django.db import models

CENT = Decimal("0.01")
ZERO = Decimal("0.00")
MAX_PRICE = Decimal("9999999.99")

# Current ISO 4217 codes whose minor unit is a hundredth.
# fmt: off
CURRENCIES = frozenset([
    "AED", "AUD", "BGN", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP",
    "HKD", "HUF", "IDR", "ILS", "INR", "MXN", "MYR", "NOK", "NZD", "PHP", "PLN",
    "RON", "SAR", "SEK", "SGD", "THB", "TRY", "TWD", "UAH", "USD", "ZAR",
])
# fmt: on


def rounded(amount: Decimal) -> Decimal:
    """`amount` rounded to hundredths, halves away from zero."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


class MoneyField(models.DecimalField[Any, Any]):
    """An amount of up to 16 digits before the point; its currency is another field."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("max_digits", 18)
        options["decimal_places"] = 2
        options.setdefault("validators", [MinValueValidator(ZERO)])
        super().__init__(*args, **options)


class CurrencyField(models.CharField[Any, Any]):
    """An ISO 4217 code in capitals."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options["max_length"] = 3
        options.setdefault("validators", [RegexValidator(r"^[A-Z]{3}$")])
        super().__init__(*args, **options)
