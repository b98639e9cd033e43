"""Empty databases for tests of migrations, migrated by processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
from django.db import connection
from psycopg import sql

from oms.testing import processes
from oms.testing.environment import ROOT


@contextmanager
def empty_database() -> Iterator[tuple[str, Any]]:
    """The URL of an empty database, and a connection to it."""
    parameters: dict[str, Any] = connection.get_connection_params()
    name = f"{parameters['dbname']}_before"
    called = sql.Identifier(name)
    with psycopg.connect(**{**parameters, "dbname": "postgres"}, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(called))
        try:
            url = urlsplit(processes.current_database_url())._replace(path=f"/{name}").geturl()
            with psycopg.connect(**{**parameters, "dbname": name}, autocommit=True) as inside:
                yield url, inside
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(called))


def migrate(url: str, app: str, *arguments: str, **settings: str) -> None:
    """Run the migrations of the app, or up to the one that `arguments` name."""
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0", app, *arguments],
        env=os.environ | settings | {"DATABASE_URL": url},
        cwd=ROOT,
        check=True,
        timeout=120,
    )
