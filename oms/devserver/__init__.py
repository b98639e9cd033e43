"""A real PostgreSQL and a real Valkey for one machine, from wheels, without an installation.

They serve `make run` and the tests; a shop in production names its own with DATABASE_URL and
REDIS_URL. Nothing here needs Django, because its settings ask where the socket is.
"""

from __future__ import annotations

from oms.devserver.errors import EmbeddedServiceError
from oms.devserver.guard import Guard
from oms.devserver.ports import free_port, require_free_port
from oms.devserver.postgres import EmbeddedPostgres
from oms.devserver.sockets import socket_directory
from oms.devserver.valkey import EmbeddedValkey

__all__ = [
    "EmbeddedPostgres",
    "EmbeddedServiceError",
    "EmbeddedValkey",
    "Guard",
    "free_port",
    "require_free_port",
    "socket_directory",
]
