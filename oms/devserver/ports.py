"""TCP ports of this machine's loopback address."""

from __future__ import annotations

import errno
import socket

from oms.devserver.errors import EmbeddedServiceError


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def require_free_port(port: int, *, purpose: str, address: str = "127.0.0.1") -> None:
    """Refuse with EmbeddedServiceError if `port` cannot be had for `purpose` ("the web server")."""
    if not 1 <= port <= 65_535:
        raise EmbeddedServiceError(
            f"{purpose} would need port {port}, which does not exist: choose PORT below 65534."
        )
    with socket.socket() as probe:
        # As servers do, so that connections that are just closing do not count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EACCES:
                reason = f"Port {port}, needed for {purpose}, is not open to this user"
            elif error.errno == errno.EADDRINUSE:
                reason = f"Port {port}, needed for {purpose}, is taken"
            else:
                raise
            raise EmbeddedServiceError(
                f"{reason}. Stop what uses it, or choose other ports, for example: "
                "make run PORT=9000"
            ) from error
