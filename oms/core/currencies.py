"""The currencies that a shop can sell in, with their decimals by ISO 4217.

From ISO 4217:2015, list one as published on 2026-01-01 by SIX, its maintenance agency, without
funds codes, units of account (UYW, XAD), metals and test codes. CLDR, and so Babel and ICU, give
some of these currencies fewer decimals (HUF 0), as they are used in cash; ISO's are those of prices
and of payment providers.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_CODES = {
    0: """
        BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF
    """,
    # BGN was replaced by the euro in 2026. A code that orders may have is never removed.
    2: """
        AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD
        CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ
        GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL
        MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR
        PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT
        TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG
    """,
    3: """
        BHD IQD JOD KWD LYD OMR TND
    """,
}

DECIMALS: Mapping[str, int] = MappingProxyType(
    {code: decimals for decimals, codes in _CODES.items() for code in codes.split()}
)
"""The decimals of each currency."""

CURRENCIES = frozenset(DECIMALS)
"""The ISO 4217 codes of all of them."""

MOST_DECIMALS = max(_CODES)
