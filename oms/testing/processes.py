"""The processes of the Procfile, started for a test on its own database.

They run the same command lines as `make run`, on free ports.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlencode

import httpx
from django.conf import settings
from django.db import connection
from honcho.environ import parse_procfile

from oms.devserver.errors import end_of_log
from oms.devserver.ports import free_port
from oms.devserver.processes import ChildProcesses
from oms.testing.environment import ROOT

_START_SECONDS = 30.0
_STOP_SECONDS = 30.0


def current_database_url() -> str:
    """The DATABASE_URL of the database that this test uses."""
    database = connection.settings_dict
    login = quote(database["USER"], safe="")
    if database["PASSWORD"]:
        login += ":" + quote(database["PASSWORD"], safe="")
    query = {"host": database["HOST"]}
    if database["PORT"]:
        query["port"] = str(database["PORT"])
    return f"postgresql://{login}@/{database['NAME']}?{urlencode(query)}"


@dataclass(frozen=True, kw_only=True)
class RunningProcess:
    """One process of the Procfile, the leader of its process group."""

    name: str
    log: Path
    popen: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self.popen.pid

    def terminate(self) -> int:
        """Send SIGTERM and return the exit code; AssertionError if it does not end in time."""
        self.popen.terminate()
        return self.wait()

    def wait(self) -> int:
        """The exit code, once it ends; AssertionError if it does not end in time."""
        try:
            return self.popen.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"{self.name} did not end within {_STOP_SECONDS:.0f} s of SIGTERM:\n"
                f"{end_of_log(self.log)}"
            ) from None

    def log_text(self) -> str:
        return self.log.read_text(errors="replace")


class Processes:
    """Starts processes of the Procfile; stops those that still run when its block ends."""

    def __init__(self) -> None:
        self.web_url = f"http://127.0.0.1:{free_port()}"
        self.provider_url = f"http://127.0.0.1:{free_port()}"
        self._started: list[RunningProcess] = []
        self._children = ChildProcesses()
        settings.VAR_DIR.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix="processes-", dir=settings.VAR_DIR))
        self._commands = parse_procfile((ROOT / "Procfile").read_text()).processes
        self.ledger = self._folder / "sandbox" / "ledger.sqlite3"
        """The sandbox payment provider's SQLite ledger."""
        self.mail = self._folder / "mail"
        """The folder that mail is written to."""
        (self._folder / "sandbox").mkdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        running = self.running()
        try:
            # All at once: an idle worker takes its time to end.
            for process in running:
                process.popen.terminate()
            for process in running:
                process.wait()
        finally:
            for process in self._started:
                self._children.kill(process.popen)
            self._children.close()

    def running(self) -> list[RunningProcess]:
        """The processes that have not ended, in the order of their starts."""
        return [process for process in self._started if process.popen.poll() is None]

    def start(self, name: str, environment: Mapping[str, str] | None = None) -> RunningProcess:
        """Start the Procfile's process `name` and return it once it is ready.

        `environment` adds to its variables, such as {"WEB_WORKERS": "2"}. A process that ended may
        be started again. AssertionError with the end of its log if it does not become ready.
        """
        process = self._start(name, environment or {})
        self._wait_until_ready(process)
        return process

    def start_all(self, environment: Mapping[str, str] | None = None) -> None:
        """Start all that an order needs from placement to delivery: everything but beat.

        `environment` adds to their variables.
        """
        names = ("provider", "web", "worker", "payments", "notifications")
        for process in [self._start(name, environment or {}) for name in names]:
            self._wait_until_ready(process)

    def _start(self, name: str, environment: Mapping[str, str]) -> RunningProcess:
        number = sum(process.name == name for process in self._started)
        log = self._folder / f"{name}-{number}.log"
        with log.open("wb") as output:
            popen = self._children.start(
                ["sh", "-c", self._commands[name]],
                stop_signal=signal.SIGKILL,
                cwd=ROOT,
                env=self._environment(environment),
                stdout=output,
            )
        process = RunningProcess(name=name, log=log, popen=popen)
        self._started.append(process)
        return process

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "DJANGO_SETTINGS_MODULE": "oms.testing.settings",
            "DATABASE_URL": current_database_url(),
            "REDIS_URL": settings.REDIS_URL,
            "VAR_DIR": str(self._folder),
            "PORT": _port(self.web_url),
            "SANDBOX_PORT": _port(self.provider_url),
            "SANDBOX_PROVIDER_URL": self.provider_url,
            "SANDBOX_WEBHOOK_URL": f"{self.web_url}/api/v1/payments/webhooks/sandbox",
            "LOG_LEVEL": "INFO",
            "WEB_WORKERS": "1",
            "WEB_THREADS": "4",
            "WEB_STOP_SECONDS": "10",
            "WORKER_CONCURRENCY": "1",
            "PAYMENTS_CONCURRENCY": "1",
            "NOTIFICATIONS_CONCURRENCY": "1",
            **more,
        }

    def _wait_until_ready(self, process: RunningProcess) -> None:
        checks: Mapping[str, Callable[[], bool]] = {
            "web": self._web_is_healthy,
            "provider": self._provider_listens,
            "beat": lambda: _handles(process.pid, signal.SIGTERM),
        }
        is_ready = checks.get(process.name, lambda: " ready." in process.log_text())
        deadline = time.monotonic() + _START_SECONDS
        while not is_ready():
            code = process.popen.poll()
            if code is not None or time.monotonic() > deadline:
                reason = f"ended with exit code {code}" if code is not None else "is not ready"
                raise AssertionError(
                    f"{process.name} {reason}; its log ends:\n{end_of_log(process.log)}"
                )
            time.sleep(0.05)

    def _web_is_healthy(self) -> bool:
        try:
            return httpx.get(f"{self.web_url}/health", timeout=5).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def _provider_listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", int(_port(self.provider_url)))) == 0


def _port(url: str) -> str:
    return url.rpartition(":")[2]


def _handles(pid: int, number: signal.Signals) -> bool:
    """Whether process `pid` has installed its handler of signal `number` (Linux, proc(5))."""
    [mask] = re.findall(r"^SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return bool(int(mask, 16) & 1 << number - 1)
