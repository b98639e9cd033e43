"""The table of currencies against the one that a browser has."""

from __future__ import annotations

import pytest

from oms.core.currencies import CURRENCIES, DECIMALS
from oms.testing.chromium import chromium

# Of each in ISO's list, in the language of the browser.
_DIGITS = """
codes => Object.fromEntries(codes.map(currency => [
    currency,
    new Intl.NumberFormat("en", {style: "currency", currency})
        .resolvedOptions().maximumFractionDigits,
]))
"""


@pytest.mark.slow
def test_decimals_are_those_of_a_browser_but_for_currencies_without_coins() -> None:
    with chromium(base_url="http://127.0.0.1:9") as browser:
        of_browser = browser.new_page().evaluate(_DIGITS, sorted(CURRENCIES))

    # CLDR, which browsers follow, gives some currencies the decimals of cash.
    differing = {code for code, decimals in DECIMALS.items() if of_browser[code] != decimals}
    assert {of_browser[code] for code in differing} == {0}
    assert {code for code in differing if DECIMALS[code] != 2} == {"IQD"}
    assert {"AUD", "BRL", "CAD", "CHF", "CNY", "EUR", "GBP", "INR", "USD", "ZAR"}.isdisjoint(
        differing
    )


@pytest.mark.parametrize(
    ("currency", "decimals"),
    [
        *(("JPY", 0), ("ISK", 0), ("UGX", 0), ("EUR", 2), ("HUF", 2), ("RSD", 2), ("MGA", 2)),
        *(("KWD", 3), ("IQD", 3), ("TND", 3), ("BGN", 2), ("ZWG", 2), ("XCG", 2)),
    ],
)
def test_decimals_are_those_of_iso_4217(currency: str, decimals: int) -> None:
    assert DECIMALS[currency] == decimals


@pytest.mark.parametrize("code", ["XAU", "XXX", "XTS", "UYW", "CLF", "EUX", "eur", ""])
def test_what_nobody_pays_in_is_no_currency(code: str) -> None:
    assert code not in CURRENCIES
