"""Where a request comes from."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

# Characters of an IPv6 address with an IPv4 one in it.
_LONGEST = 45


def client_address(request: HttpRequest) -> str | None:
    """The client's IP address; None where there is none, as on a Unix socket.

    X-Forwarded-For is written by anyone. Only its last settings.TRUSTED_PROXIES entries were
    added by our own proxies, so the first of those is the client.
    """
    return address_behind(
        request.META.get("REMOTE_ADDR") or "",
        forwarded_for=request.headers.get("X-Forwarded-For", ""),
        trusted_proxies=settings.TRUSTED_PROXIES,
    )


def address_behind(remote: str, *, forwarded_for: str, trusted_proxies: int) -> str | None:
    """The client's address, for a connection from `remote` through that many of our proxies."""
    candidate = remote
    if trusted_proxies:
        chain = forwarded_for.split(",")
        if len(chain) >= trusted_proxies:
            candidate = chain[-trusted_proxies].strip()
    # Without the zone of a link-local address, which the database's type does not know.
    text = candidate.partition("%")[0]
    return _address(text) if len(text) <= _LONGEST else None


# What is remembered is the client's, so it must be small.
@lru_cache(maxsize=4096)
def _address(text: str) -> str | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(address)


def address_group(address: str | None) -> str:
    """What counts as one address for a limit: of IPv6 the /64, which one subscriber has whole."""
    if address is None:
        return "unknown"
    if ":" in address:
        return str(ip_network(f"{address}/64", strict=False))
    return address
