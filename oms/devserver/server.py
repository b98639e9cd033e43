"""Every process on one machine: `make run`."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import FrameType
from typing import IO

from honcho.environ import parse_procfile

from oms.devserver.output import Output
from oms.devserver.ports import require_free_port
from oms.devserver.postgres import local_postgres
from oms.devserver.processes import ChildProcesses, Service
from oms.devserver.supervisor import Exit, Supervisor
from oms.devserver.valkey import local_valkey

WORKER_GRACE_SECONDS = 3
# With the two and three seconds of the servers, stopping takes less than ten.
_GRACE_SECONDS = 4.5

# Started first. The others follow once the web server responds, or after so many seconds: each
# process takes a core for a second to load, so started together they would all be late.
_FIRST = ("web", "provider")
_OTHERS_AFTER_SECONDS = 5.0
_POLL_SECONDS = 0.05
# For what waits to be printed at the end.
_PRINT_SECONDS = 1.0

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, kw_only=True)
class DevServer:
    """What runs on this machine. A port that is None belongs to a server that runs elsewhere."""

    project: Path
    """The folder of the Procfile."""
    data: Path
    host: str
    port: int
    provider_port: int | None
    valkey_port: int | None
    has_postgres: bool
    environment: Mapping[str, str]
    """The environment variables of the processes."""
    prepare: Callable[[], None]
    """Prepares the database; called once the servers respond, before the processes start."""
    banner: str
    """Printed when the web server responds."""
    run_folder: Path
    """Has the states of the processes and their heartbeats while they run."""

    def run(self) -> Exit | None:
        """Run until Ctrl-C, SIGTERM or SIGHUP, or until a process keeps ending; returns its exit.

        Raises DevServerError if something cannot start.
        """
        for number in _STOP_SIGNALS:
            signal.signal(number, _interrupt)
        # Its own file: the interpreter waits at its end for the one of `print`, if that is in use.
        output = Output(_own_stdout())
        with ExitStack() as stack:
            stack.callback(output.close, seconds=_PRINT_SECONDS)
            try:
                return self._run(stack, output)
            except KeyboardInterrupt:
                output.show("\nStopping …")
                return None
            finally:
                _ignore_stop_signals()

    def _run(self, stack: ExitStack, output: Output) -> Exit:
        require_free_port(self.port, purpose="the shop itself", address=self.host)
        if self.provider_port is not None:
            require_free_port(self.provider_port, purpose="the sandbox payment provider")
        if self.valkey_port is not None:
            require_free_port(self.valkey_port, purpose="Valkey")
        for name in ("log", "mail", "sandbox"):
            (self.data / name).mkdir(parents=True, exist_ok=True)
        children = ChildProcesses()
        stack.callback(children.close)
        children.remove_at_end(self.run_folder)
        heartbeats = self.run_folder / "heartbeats"
        heartbeats.mkdir(parents=True, exist_ok=True)
        servers = self._start_servers(children, stack)
        self.prepare()
        supervisor = Supervisor(
            children=children,
            output=output,
            states=self.run_folder / "processes.json",
            heartbeats=heartbeats,
        )
        stack.callback(supervisor.stop, grace=_GRACE_SECONDS)
        for name, server in servers.items():
            supervisor.watch(name, server)
        return self._supervise(supervisor, output)

    def _start_servers(self, children: ChildProcesses, stack: ExitStack) -> dict[str, Service]:
        logs = self.data / "log"
        servers = {}
        if self.has_postgres:
            print("Starting PostgreSQL …", flush=True)
            servers["postgres"] = stack.enter_context(
                local_postgres(
                    data=self.data / "postgres", log=logs / "postgres.log", children=children
                )
            )
        if self.valkey_port is not None:
            print("Starting Valkey …", flush=True)
            servers["valkey"] = stack.enter_context(
                local_valkey(
                    data=self.data / "valkey",
                    log=logs / "valkey.log",
                    port=self.valkey_port,
                    children=children,
                )
            )
        return servers

    def _supervise(self, supervisor: Supervisor, output: Output) -> Exit:
        commands = parse_procfile((self.project / "Procfile").read_text()).processes
        if self.provider_port is None:
            del commands["provider"]
        start = partial(supervisor.start, environment=self.environment, folder=self.project)
        for name in _FIRST:
            if name in commands:
                start(name, command=commands.pop(name))
        latest = time.monotonic() + _OTHERS_AFTER_SECONDS
        is_open = False
        while (ended := supervisor.check()) is None:
            if not is_open and self._responds():
                is_open = True
                output.show(self.banner)
            if is_open or time.monotonic() > latest:
                for name in list(commands):
                    start(name, command=commands.pop(name))
            time.sleep(_POLL_SECONDS)
        return ended

    def _responds(self) -> bool:
        with closing(HTTPConnection(reachable(self.host), self.port, timeout=1)) as connection:
            try:
                connection.request("GET", "/health")
                status = connection.getresponse().status
            except (OSError, HTTPException):
                return False
        # An error response is enough, for example if ALLOWED_HOSTS lacks this address.
        return status < HTTPStatus.INTERNAL_SERVER_ERROR


def reachable(host: str) -> str:
    """The address at which this machine reaches a server that listens on `host`."""
    return "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104


def _own_stdout() -> IO[str]:
    return open(
        sys.stdout.fileno(), "w", encoding=sys.stdout.encoding, errors="replace", closefd=False
    )


def _ignore_stop_signals() -> None:
    """A second Ctrl-C must not interrupt the stopping."""
    for number in _STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _interrupt(number: int, frame: FrameType | None) -> None:
    _ignore_stop_signals()
    raise KeyboardInterrupt
