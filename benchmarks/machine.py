"""The servers of a bench, all of its own: PostgreSQL, Valkey, and the shop's processes."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx
import psycopg
from honcho.environ import parse_procfile

from oms.devserver import EmbeddedPostgres, EmbeddedValkey, Guard, free_port
from oms.devserver.errors import end_of_log

ROOT = Path(__file__).resolve().parent.parent
_START_SECONDS = 40.0
_STOP_SECONDS = 15.0
_LIMITS = ("REGISTER", "TOKEN", "TOKEN_ACCOUNT", "PLACE", "USER", "ANONYMOUS")
# What an order goes through after it was placed.
BACKGROUND = ("provider", "worker", "payments", "notifications", "beat")


class BenchError(Exception):
    """The bench cannot go on; the message is a sentence for the person at the terminal."""


def production_secrets() -> dict[str, str]:
    """The environment of a shop in production, with secrets of this run alone.

    Limits still count every request, but are too high to refuse any.
    """
    return {
        "DEBUG": "0",
        "HTTPS": "0",  # the loader speaks to it as a proxy would
        "ALLOWED_HOSTS": "127.0.0.1",
        "DJANGO_SETTINGS_MODULE": "oms.settings",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "JWT_SIGNING_KEY": secrets.token_urlsafe(48),
        "SANDBOX_API_KEY": secrets.token_urlsafe(24),
        "SANDBOX_WEBHOOK_SECRET": secrets.token_urlsafe(24),
        **{f"RATE_LIMIT_{name}": "1000000000/minute" for name in _LIMITS},
    }


class Servers:
    """PostgreSQL with its data kept in `folder` from run to run, and an empty Valkey."""

    def __init__(self, *, folder: Path, guard: Guard, ends: ExitStack) -> None:
        logs = folder / "log"
        self.folder = folder
        self.guard = guard
        self._postgres = EmbeddedPostgres(
            data=folder / "postgres",
            log=logs / "postgres.log",
            guard=guard,
            database="postgres",
        )
        self._valkey = EmbeddedValkey(
            data=folder / "valkey",
            log=logs / "valkey.log",
            port=free_port(),
            guard=guard,
            durable=False,
        )
        ends.callback(self._postgres.stop)
        self._postgres.start()
        self._load_statistics()
        ends.callback(self._valkey.stop)
        self._valkey.start()

    def database_url(self, name: str) -> str:
        """The DATABASE_URL of the database called `name`."""
        return self._postgres.url.replace("/postgres?", f"/{name}?")

    def redis_url(self, number: int) -> str:
        """The REDIS_URL of database `number`."""
        return self._valkey.url.removesuffix("0") + str(number)

    def trees(self) -> dict[str, int]:
        """The main processes, by what they are."""
        found = {"postgres": self._postgres.pid, "valkey": self._valkey.pid}
        return {name: pid for name, pid in found.items() if pid is not None}

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """A connection that commits each statement."""
        return psycopg.connect(self.database_url(database), autocommit=True)

    def make_database(self, name: str, *, like: str | None = None) -> None:
        """Make the database anew, empty or as a copy of another that nobody is connected to."""
        template = f" TEMPLATE {like}" if like else ""
        with self.connect() as connection:
            self._drop(connection, name)
            connection.execute(f"CREATE DATABASE {name}{template}".encode())

    def drop_database(self, name: str) -> None:
        """Remove the database, breaking off whoever is connected."""
        with self.connect() as connection:
            self._drop(connection, name)

    def _drop(self, connection: psycopg.Connection[tuple[object, ...]], name: str) -> None:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())

    def _load_statistics(self) -> None:
        """Load pg_stat_statements, switched off until statements are to be counted."""
        with self.connect() as connection:
            loaded = connection.execute("SHOW shared_preload_libraries").fetchone()
            is_loaded = loaded == ("pg_stat_statements",)
            if not is_loaded:
                connection.execute("ALTER SYSTEM SET shared_preload_libraries = pg_stat_statements")
                connection.execute("ALTER SYSTEM SET pg_stat_statements.track = none")
        if not is_loaded:
            self._postgres.stop()
            self._postgres.start()
        with self.connect() as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")


class Shop:
    """The Procfile's processes on one database; all of them end with the block `ends`."""

    def __init__(
        self,
        *,
        servers: Servers,
        database: str,
        redis_number: int,
        ends: ExitStack,
        settings: Mapping[str, str],
    ) -> None:
        self.port = free_port()
        self.database = database
        self.folder = servers.folder / database
        self._guard = servers.guard
        self._ends = ends
        self._commands = parse_procfile((ROOT / "Procfile").read_text()).processes
        provider_port = free_port()
        for name in ("beat", "log", "mail", "sandbox"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        # Each run has a new database, to which an old ledger of charges would not fit.
        for ledger in (self.folder / "sandbox").iterdir():
            ledger.unlink()
        self.environment = {
            **os.environ,
            **settings,
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
            "DATABASE_URL": servers.database_url(database),
            "REDIS_URL": servers.redis_url(redis_number),
            "VAR_DIR": str(self.folder),
            "PORT": str(self.port),
            "SANDBOX_PORT": str(provider_port),
            "SANDBOX_PROVIDER_URL": f"http://127.0.0.1:{provider_port}",
            "SANDBOX_WEBHOOK_URL": (
                f"http://127.0.0.1:{self.port}/api/v1/payments/webhooks/sandbox"
            ),
            "WEB_STOP_SECONDS": "5",
            "WORKER_SOFT_SHUTDOWN_TIMEOUT": "3",
        }
        self._provider_port = provider_port
        self._running: dict[str, int] = {}

    def trees(self) -> dict[str, int]:
        """The main processes by the names that they have in the Procfile."""
        return dict(self._running)

    def start_web(self) -> None:
        """Start the web process and wait until it serves."""
        log = self._start("web")
        _wait_for(lambda: _answers(f"http://127.0.0.1:{self.port}/health"), name="web", log=log)

    def start_background(self) -> None:
        """Start everything else and wait until it works."""
        logs = {name: self._start(name) for name in BACKGROUND}
        for name in ("worker", "payments", "notifications"):
            _wait_for(partial(_is_ready, logs[name]), name=name, log=logs[name])
        _wait_for(partial(_listens, self._provider_port), name="provider", log=logs["provider"])

    def manage(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run manage.py with these words on the shop's database."""
        return subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def _start(self, name: str) -> Path:
        log = self.folder / "log" / f"{name}.log"
        self._running[name] = start_process(
            ["sh", "-c", self._commands[name]],
            environment=self.environment,
            log=log,
            guard=self._guard,
            ends=self._ends,
        )
        return log


def start_process(
    command: list[str],
    *,
    environment: Mapping[str, str],
    log: Path,
    guard: Guard,
    ends: ExitStack,
) -> int:
    """Start a process of our own, to be ended with `ends` or with us; returns its number."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    guard.watch(process.pid, ending=signal.SIGTERM, group=True)
    ends.callback(_stop, process, guard)
    return process.pid


def start_trivial_endpoint(*, servers: Servers, ends: ExitStack) -> tuple[int, int]:
    """An endpoint that does nothing; returns its port and its process number."""
    port = free_port()
    log = servers.folder / "log" / "trivial.log"
    command = [
        str(Path(sys.executable).parent / "granian"),
        *("benchmarks.trivial:application", "--interface", "rsgi", "--workers", "1"),
        *("--port", str(port), "--no-access-log", "--log-level", "warning", "--no-ws"),
    ]
    pid = start_process(command, environment=os.environ, log=log, guard=servers.guard, ends=ends)
    _wait_for(lambda: _listens(port), name="trivial endpoint", log=log)
    return port, pid


def _stop(process: subprocess.Popen[bytes], guard: Guard) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    guard.forget(process.pid)


def _wait_for(ready: Callable[[], bool], *, name: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            raise BenchError(f"The {name} did not start; its log ends:\n{end_of_log(log)}")
        time.sleep(0.1)


def _is_ready(log: Path) -> bool:
    """Whether a Celery worker says so."""
    return " ready." in log.read_text()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
