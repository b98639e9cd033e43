"""Starting and stopping the processes of a shop under test."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from honcho.environ import parse_procfile

from benchmarks.servers import ROOT, BenchError, Servers
from oms.devserver.errors import end_of_log
from oms.devserver.ports import free_port
from oms.devserver.processes import ChildProcesses

_START_SECONDS = 40.0
_STOP_SECONDS = 15.0


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A copy of the code base, and the Python interpreter that runs it.

    `name` is a short word for databases and tables of results.
    """

    name: str
    folder: Path
    python: Path = Path(sys.executable)


class Shop:
    """The processes of a checkout's Procfile on one database; they stop with `cleanup`."""

    def __init__(
        self,
        *,
        checkout: Checkout,
        servers: Servers,
        database: str,
        redis_number: int,
        settings: Mapping[str, str],
        cleanup: ExitStack,
    ) -> None:
        self.checkout = checkout
        self.database = database
        self.settings = settings
        self.folder = servers.folder / database
        self.port, self._provider_port = free_port(), free_port()
        self._children, self._cleanup = servers.children, cleanup
        self._client = cleanup.enter_context(
            httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)
        )
        self._commands = parse_procfile((checkout.folder / "Procfile").read_text()).processes
        for name in ("beat", "log", "mail", "sandbox"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        # A new database does not match an old provider ledger.
        for file in (self.folder / "sandbox").iterdir():
            file.unlink()
        self.environment = {
            **os.environ,
            **settings,
            "PATH": os.pathsep.join((str(checkout.python.parent), os.environ["PATH"])),
            "DATABASE_URL": servers.database_url(database),
            "REDIS_URL": servers.redis_url(redis_number),
            "VAR_DIR": str(self.folder),
            "PORT": str(self.port),
            "SANDBOX_PORT": str(self._provider_port),
            "SANDBOX_PROVIDER_URL": f"http://127.0.0.1:{self._provider_port}",
            "SANDBOX_WEBHOOK_URL": (
                f"http://127.0.0.1:{self.port}/api/v1/payments/webhooks/sandbox"
            ),
            "WEB_STOP_SECONDS": "5",
            "WORKER_SOFT_SHUTDOWN_TIMEOUT": "3",
        }
        self._running: dict[str, int] = {}

    @property
    def ledger(self) -> Path:
        """The file of the sandbox payment provider."""
        return self.folder / "sandbox" / "ledger.sqlite3"

    def process_ids(self) -> dict[str, int]:
        """The main process of each running Procfile entry by name."""
        return dict(self._running)

    def start_web(self) -> None:
        """Start the web process and wait until it answers."""
        log = self._start("web")
        wait_until(self._is_healthy, name="web", log=log)

    def start_background(self) -> None:
        """Start all other processes and wait until they are ready."""
        for name, command in self._commands.items():
            if name == "web":
                continue
            log = self._start(name)
            if " worker " in command:
                wait_until(partial(_says_ready, log), name=name, log=log)
            elif name == "provider":
                wait_until(partial(is_listening, self._provider_port), name=name, log=log)

    def run_python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the checkout's Python with the shop's environment, and return what it printed."""
        return subprocess.run(
            [str(self.checkout.python), *arguments],
            cwd=self.checkout.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def request(self, method: str, path: str, *, token: str = "", body: Any = None) -> Any:
        """The JSON answer to one API request of the demo shop. Raises BenchError for any error."""
        # `reconcile` demands no notifications for events of requests with this id.
        headers = {"X-Request-ID": "demo-shop"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        response = self._client.request(method, path, headers=headers, json=body)
        if response.is_error:
            raise BenchError(f"{method} {path}: {response.status_code} {response.text[:1000]}")
        return response.json()

    def etag_of(self, path: str) -> str:
        """The ETag of an anonymous GET request."""
        return self._client.get(path).headers["ETag"]

    def _is_healthy(self) -> bool:
        try:
            return self._client.get("/health").is_success
        except httpx.TransportError:
            return False

    def _start(self, name: str) -> Path:
        log = self.folder / "log" / f"{name}.log"
        self._running[name] = start_process(
            ["sh", "-c", self._commands[name]],
            folder=self.checkout.folder,
            environment=self.environment,
            log=log,
            children=self._children,
            cleanup=self._cleanup,
        )
        return log


def start_process(
    command: list[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    log: Path,
    children: ChildProcesses,
    cleanup: ExitStack,
) -> int:
    """Start a process that ends with `cleanup` or with this process; returns its process id."""
    with log.open("wb") as output:
        process = children.start(command, cwd=folder, env=dict(environment), stdout=output)
    cleanup.callback(children.stop, process, signal.SIGTERM, seconds=_STOP_SECONDS)
    return process.pid


def start_noop_endpoint(*, servers: Servers, cleanup: ExitStack) -> tuple[int, int]:
    """Start benchmarks/noop_endpoint.py; returns its port and process id."""
    port = free_port()
    log = servers.folder / "log" / "noop_endpoint.log"
    command = [
        str(Path(sys.executable).parent / "granian"),
        *("benchmarks.noop_endpoint:application", "--interface", "rsgi", "--workers", "1"),
        *("--port", str(port), "--no-access-log", "--log-level", "warning", "--no-ws"),
    ]
    pid = start_process(
        command,
        folder=ROOT,
        environment=os.environ,
        log=log,
        children=servers.children,
        cleanup=cleanup,
    )
    wait_until(lambda: is_listening(port), name="noop endpoint", log=log)
    return port, pid


def wait_until(ready: Callable[[], bool], *, name: str, log: Path) -> None:
    """Wait for `ready`; BenchError with the end of the log if it takes too long."""
    deadline = time.monotonic() + _START_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            raise BenchError(f"Process {name} did not start; its log ends:\n{end_of_log(log)}")
        time.sleep(0.1)


def is_listening(port: int) -> bool:
    """Whether something on this machine listens on the port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _says_ready(log: Path) -> bool:
    """Whether the log of a Celery worker says that it is ready."""
    return " ready." in log.read_text()
