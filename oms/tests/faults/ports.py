"""Ports for the shops."""

from __future__ import annotations

import random
import re
import socket

# PORT moves three ports: web, provider, Valkey. The others are for a web process beside it and for
# a mail server.
_PORTS = 5


def free_ports() -> int:
    """A port such that it and the following ones are free, below those of outgoing connections."""
    while True:
        port = random.randrange(23_000, 32_000)
        if all(_is_free(port + further) for further in range(_PORTS)):
            return port


def with_ports(text: str, port: int) -> str:
    """`text` of an environment variable in which "PORT+1" and the like are ports of the shop's."""
    return re.sub(r"PORT\+(\d)", lambda found: str(port + int(found[1])), text)


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
