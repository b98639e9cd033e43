"""Whose address it is, and that asking costs no memory."""

from __future__ import annotations

import tracemalloc

import pytest

from oms.http.addresses import address_behind


@pytest.mark.parametrize(
    ("forwarded_for", "proxies", "address"),
    [
        ("1.1.1.1, 2.2.2.2", 0, "9.9.9.9"),
        ("1.1.1.1, 2.2.2.2", 1, "2.2.2.2"),
        ("1.1.1.1, 2.2.2.2", 2, "1.1.1.1"),
        ("1.1.1.1, 2.2.2.2", 3, "9.9.9.9"),
        (" ::ffff:1.1.1.1 ", 1, "1.1.1.1"),
        ("fe80::1%eth0", 1, "fe80::1"),
        (f"1.1.1.1{' ' * 100}", 1, "1.1.1.1"),
        ("0000:0000:0000:0000:0000:ffff:255.255.255.255", 1, "255.255.255.255"),
        ("unknown", 1, None),
        ("1" * 100, 1, None),
    ],
)
def test_the_client_is_who_the_last_proxy_of_ours_saw(
    forwarded_for: str, proxies: int, address: str | None
) -> None:
    found = address_behind("9.9.9.9", forwarded_for=forwarded_for, trusted_proxies=proxies)

    assert found == address


@pytest.mark.parametrize("proxies", [0, 1])
def test_long_headers_are_not_remembered(proxies: int) -> None:
    tracemalloc.start()
    for number in range(100):
        address_behind("9.9.9.9", forwarded_for="x" * 20_000 + str(number), trusted_proxies=proxies)
    left, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert left < 200_000
