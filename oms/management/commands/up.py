"""The whole shop on one machine: `make run`."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import ExitStack, closing
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import FrameType
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from honcho.environ import parse_procfile
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from oms.demo.accounts import (
    CUSTOMER_EMAIL,
    CUSTOMER_PASSWORD,
    STAFF_EMAIL,
    STAFF_PASSWORD,
)
from oms.devserver import (
    EmbeddedPostgres,
    EmbeddedServiceError,
    EmbeddedValkey,
    Guard,
    require_free_port,
)
from oms.devserver.supervisor import Ended, Supervisor

# With the two and three seconds of the servers this stays within the ten that a stop may take.
_GRACE_SECONDS = 4.5
_WORKER_GRACE_SECONDS = 3

# What the shop opens with. The rest is started when it is open, or after so many seconds: each
# process takes a core for a second to load, and started at once they would all come late.
_FIRST = ("web", "provider")
_REST_AFTER_SECONDS = 5.0
_LOOK_EVERY_SECONDS = 0.05

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_WEBHOOK_PATH = "/api/v1/payments/webhooks/sandbox"


class Command(BaseCommand):
    """Starts everything, waits for Ctrl-C or SIGTERM, and stops everything."""

    help = (
        "Run the whole shop: an embedded PostgreSQL and Valkey unless DATABASE_URL and REDIS_URL "
        "are given, migrations, the demo shop, and the processes of the Procfile."
    )
    # The database that the checks may ask is not there yet; migrate runs them.
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until stopped; CommandError if something cannot start or ends by itself."""
        self.console = Console(highlight=False)
        for number in _STOPPING:
            signal.signal(number, _interrupt)
        with ExitStack() as ends:
            try:
                ended = self._run(ends)
            except KeyboardInterrupt:
                self.console.print("\nStopping …")
                return
            except EmbeddedServiceError as error:
                raise CommandError(str(error)) from error
            finally:
                _ignore_further_signals()
        raise CommandError(
            f"The process `{ended.name}` ended by itself (exit code {ended.exit_code}), so "
            "everything was stopped. What it said last is above."
        )

    def _run(self, ends: ExitStack) -> Ended:
        self._require_ports()
        for folder in ("beat", "log", "mail", "sandbox"):
            (settings.VAR_DIR / folder).mkdir(parents=True, exist_ok=True)
        guard = Guard()
        ends.callback(guard.close)
        self._start_servers(guard, ends)
        self._prepare_shop()
        supervisor = Supervisor(guard=guard, output=sys.stdout)
        ends.callback(supervisor.stop, grace=_GRACE_SECONDS)
        start = partial(
            supervisor.start, environment=_child_environment(), folder=settings.BASE_DIR
        )
        commands = _commands()
        for name in _FIRST:
            if name in commands:
                start(name, command=commands.pop(name))
        latest = time.monotonic() + _REST_AFTER_SECONDS
        is_open = False
        while (ended := supervisor.wait(seconds=_LOOK_EVERY_SECONDS)) is None:
            if not is_open and _is_healthy():
                is_open = True
                self._show_banner()
            if commands and (is_open or time.monotonic() > latest):
                for name, command in commands.items():
                    start(name, command=command)
                commands = {}
        return ended

    def _require_ports(self) -> None:
        host = os.environ.get("HOST", "127.0.0.1")
        require_free_port(settings.PORT, purpose="the shop itself", address=host)
        if not os.environ.get("SANDBOX_PROVIDER_URL"):
            require_free_port(settings.SANDBOX_PORT, purpose="the sandbox payment provider")
        if not os.environ.get("REDIS_URL"):
            require_free_port(settings.VALKEY_PORT, purpose="Valkey")

    def _start_servers(self, guard: Guard, ends: ExitStack) -> None:
        logs = settings.VAR_DIR / "log"
        if not os.environ.get("DATABASE_URL"):
            self.console.print("Starting PostgreSQL …")
            postgres = EmbeddedPostgres(
                data=settings.VAR_DIR / "postgres", log=logs / "postgres.log", guard=guard
            )
            ends.callback(postgres.stop)
            postgres.start()
        if not os.environ.get("REDIS_URL"):
            self.console.print("Starting Valkey …")
            valkey = EmbeddedValkey(
                data=settings.VAR_DIR / "valkey",
                log=logs / "valkey.log",
                port=settings.VALKEY_PORT,
                guard=guard,
            )
            ends.callback(valkey.stop)
            valkey.start()

    def _prepare_shop(self) -> None:
        self.console.print("Migrating the database …")
        call_command("migrate", verbosity=0, interactive=False)
        # Its accounts have well-known passwords; without DEBUG the seed would refuse.
        if settings.DEBUG and not get_user_model().objects.exists():
            self.console.print("Stocking the demo shop …")
            call_command("seed")
        connections.close_all()

    def _show_banner(self) -> None:
        shop = _own_url()
        lines = [
            ("Shop API", f"{shop}/api/v1/products"),
            ("Documentation", f"{shop}/api/docs"),
            ("Back office", f"{shop}/admin/"),
            ("Payment provider", settings.SANDBOX_PROVIDER_URL),
        ]
        if not settings.EMAIL_URL:
            lines.append(("Mail", str(settings.VAR_DIR / "mail")))
        if settings.DEBUG:
            lines += [
                ("", ""),
                ("Staff", f"{STAFF_EMAIL} / {STAFF_PASSWORD}"),
                ("Customer", f"{CUSTOMER_EMAIL} / {CUSTOMER_PASSWORD}"),
            ]
        rows = Table.grid(padding=(0, 3))
        for name, value in lines:
            rows.add_row(f"[bold]{name}", value)
        self.console.print(
            Panel(
                rows,
                title=f"{settings.SHOP_NAME} is open",
                subtitle="Ctrl-C stops everything",
                expand=False,
                padding=(1, 2),
            )
        )


def _ignore_further_signals() -> None:
    """From here on things are being stopped, and a second Ctrl-C must not break that off."""
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)


def _interrupt(number: int, frame: FrameType | None) -> None:
    _ignore_further_signals()
    raise KeyboardInterrupt


def _commands() -> dict[str, str]:
    """The command lines of the Procfile's processes that are wanted here, by name."""
    procfile = parse_procfile((settings.BASE_DIR / "Procfile").read_text())
    return {
        name: command
        for name, command in procfile.processes.items()
        if name != "provider" or not os.environ.get("SANDBOX_PROVIDER_URL")
    }


def _own_host() -> str:
    """Where this machine reaches the web server: at HOST, unless that is every address."""
    host = os.environ.get("HOST", "127.0.0.1")
    return "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104


def _own_url() -> str:
    return f"http://{_own_host()}:{settings.PORT}"


def _is_healthy() -> bool:
    with closing(HTTPConnection(_own_host(), settings.PORT, timeout=1)) as connection:
        try:
            connection.request("GET", "/health")
            status = connection.getresponse().status
        except (OSError, HTTPException):
            return False
    # A refusal serves as well, as where ALLOWED_HOSTS leaves this address out.
    return status < HTTPStatus.INTERNAL_SERVER_ERROR


def _child_environment() -> dict[str, str]:
    environment = dict(os.environ)
    for name in ("DB_STATEMENT_TIMEOUT_MS", "DB_IDLE_IN_TRANSACTION_TIMEOUT_MS"):
        # manage.py lifts these limits for commands; the shop keeps those of its settings.
        if environment.get(name) == "0":
            del environment[name]
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
        "DATABASE_URL": settings.DATABASE_URL,
        "REDIS_URL": settings.REDIS_URL,
        "VAR_DIR": str(settings.VAR_DIR),
        "PORT": str(settings.PORT),
        "SANDBOX_PORT": str(settings.SANDBOX_PORT),
        "SANDBOX_API_KEY": settings.SANDBOX_API_KEY,
        "SANDBOX_WEBHOOK_SECRET": settings.SANDBOX_WEBHOOK_SECRET,
        "WORKER_SOFT_SHUTDOWN_TIMEOUT": str(_WORKER_GRACE_SECONDS),
        "WEB_STOP_SECONDS": str(_WORKER_GRACE_SECONDS),
    }
    if not sys.stdout.isatty():
        environment["NO_COLOR"] = "1"
    if os.geteuid() == 0:
        # Sound advice for a server; on the own machine, it would hide what the workers say.
        environment.setdefault("PYTHONWARNINGS", "ignore:You're running the worker with superuser")
    environment.setdefault("SANDBOX_WEBHOOK_URL", f"{_own_url()}{_WEBHOOK_PATH}")
    return environment
