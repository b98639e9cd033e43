"""A real PostgreSQL and a real Valkey for one machine, from wheels, without an installation.

They serve `make run` and the tests; a shop in production names its own with DATABASE_URL and
REDIS_URL. Nothing here needs Django, because its settings ask where the socket is.
"""

from __future__ import annotations

from oms.management.embedded.errors import EmbeddedServiceError
from oms.management.embedded.guard import Guard
from oms.management.embedded.ports import free_port, require_free_port
from oms.management.embedded.postgres import EmbeddedPostgres
from oms.management.embedded.valkey import EmbeddedValkey
from oms.management.sockets import socket_directory

__all__ = [
    "EmbeddedPostgres",
    "EmbeddedServiceError",
    "EmbeddedValkey",
    "Guard",
    "free_port",
    "require_free_port",
    "socket_directory",
]
