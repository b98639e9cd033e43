"""Addresses and TCP ports of this machine."""

from __future__ import annotations

import ipaddress
import socket

from oms.devserver.errors import DevServerError


def is_loopback(host: str) -> bool:
    """Whether `host`, an address or "localhost", is this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def require_free_port(port: int, *, purpose: str, address: str = "127.0.0.1") -> None:
    """Raise DevServerError if a server cannot listen on `port`; `purpose` is such as "Valkey"."""
    if not 1 <= port <= 65_535:
        raise DevServerError(
            f"{purpose} would need port {port}, which does not exist: choose PORT below 65534."
        )
    try:
        # Like servers, it does not count connections that are just closing.
        socket.create_server((address, port)).close()
    except OSError as error:
        raise DevServerError(
            f"Port {port}, needed for {purpose}, is unavailable: {error.strerror}. Stop what uses "
            "it, or choose other ports, for example: make run PORT=9000"
        ) from error
