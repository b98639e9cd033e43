"""The processes of the Procfile, started for a test on its own database.

They run the very commands of `make run`, on free ports, each in a session of its own, and are ended
by their own process numbers.
"""

from __future__ import annotations

import contextlib
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

from oms.devserver import Guard, free_port
from oms.devserver.errors import end_of_log
from oms.testing.environment import ROOT

_START_SECONDS = 30.0
_STOP_SECONDS = 15.0
WEBHOOK_PATH = "/api/v1/payments/webhooks/sandbox"


def test_database_url() -> str:
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
    """One process of the Procfile."""

    name: str
    log: Path
    popen: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """The number of its main process, which is also that of its process group."""
        return self.popen.pid

    def terminate(self) -> int:
        """Ask it to end by SIGTERM and return its exit code; fails if it does not end in time."""
        self.ask_to_end()
        return self.wait()

    def ask_to_end(self) -> None:
        """Send SIGTERM, unless it has ended."""
        if self.popen.poll() is None:
            self.popen.terminate()

    def wait(self) -> int:
        """The exit code of a process that was asked to end; fails if it does not end in time."""
        try:
            return self.popen.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"{self.name} did not end within {_STOP_SECONDS:.0f} s of SIGTERM:\n"
                f"{end_of_log(self.log)}"
            ) from None

    def kill(self) -> None:
        """End it and all its children by SIGKILL, as a crash would."""
        with contextlib.suppress(ProcessLookupError):  # it has ended, and so have its children
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait(timeout=_STOP_SECONDS)

    def log_text(self) -> str:
        """Everything it has written so far."""
        return self.log.read_text(errors="replace")


class Processes:
    """Starts processes of the Procfile; ends all that still run when its block ends."""

    def __init__(self) -> None:
        self.web_url = f"http://127.0.0.1:{free_port()}"
        self.provider_url = f"http://127.0.0.1:{free_port()}"
        self._running: list[RunningProcess] = []
        self._guard = Guard()
        settings.VAR_DIR.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix="processes-", dir=settings.VAR_DIR))
        self._commands = parse_procfile((ROOT / "Procfile").read_text()).processes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            # All are asked before any is waited for: an idle worker takes its time to end.
            asked = self.running()
            for process in asked:
                process.ask_to_end()
            for process in asked:
                process.wait()
        finally:
            for process in self._running:
                process.kill()
            self._guard.close()

    @property
    def ledger(self) -> Path:
        """The SQLite ledger of the sandbox payment provider."""
        return self._folder / "sandbox" / "ledger.sqlite3"

    @property
    def mail(self) -> Path:
        """The folder of the files to which mail is written."""
        return self._folder / "mail"

    def running(self) -> list[RunningProcess]:
        """The processes that were started and have not ended, in the order of their starts."""
        return [process for process in self._running if process.popen.poll() is None]

    def start(self, name: str, environment: Mapping[str, str] | None = None) -> RunningProcess:
        """Start the process called `name` in the Procfile and return it once it is ready.

        `environment` adds to the variables it gets, such as {"WEB_WORKERS": "2"}. A process that
        was ended may be started again. Fails with the end of its log if it does not become ready.
        """
        process = self._begin(name, environment or {})
        self._await(process)
        return process

    def start_all(self) -> None:
        """Start what an order needs to go its whole way: all but beat."""
        names = ("provider", "web", "worker", "payments", "notifications")
        for process in [self._begin(name, {}) for name in names]:
            self._await(process)

    def _begin(self, name: str, environment: Mapping[str, str]) -> RunningProcess:
        number = sum(process.name == name for process in self._running)
        log = self._folder / f"{name}-{number}.log"
        with log.open("wb") as output:
            popen = subprocess.Popen(
                ["sh", "-c", self._commands[name]],
                cwd=ROOT,
                env=self._environment(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._guard.watch(popen.pid, ending=signal.SIGKILL, group=True)
        process = RunningProcess(name=name, log=log, popen=popen)
        self._running.append(process)
        return process

    def _await(self, process: RunningProcess) -> None:
        signs = {
            "web": self._web_answers,
            "provider": self._provider_listens,
            "beat": lambda: _catches(process.pid, signal.SIGTERM),
        }
        _wait_until(signs.get(process.name, lambda: " ready." in process.log_text()), process)

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        (self._folder / "sandbox").mkdir(exist_ok=True)
        (self._folder / "beat").mkdir(exist_ok=True)
        port = self.web_url.rpartition(":")[2]
        return {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "DJANGO_SETTINGS_MODULE": "oms.testing.settings",
            "DATABASE_URL": test_database_url(),
            "REDIS_URL": settings.REDIS_URL,
            "VAR_DIR": str(self._folder),
            "PORT": port,
            "SANDBOX_PORT": self.provider_url.rpartition(":")[2],
            "SANDBOX_PROVIDER_URL": self.provider_url,
            "SANDBOX_WEBHOOK_URL": f"{self.web_url}{WEBHOOK_PATH}",
            "LOG_LEVEL": "INFO",
            "WEB_WORKERS": "1",
            "WEB_THREADS": "4",
            "WEB_STOP_SECONDS": "10",
            "WORKER_CONCURRENCY": "1",
            "PAYMENTS_CONCURRENCY": "1",
            "NOTIFICATIONS_CONCURRENCY": "1",
            **more,
        }

    def _web_answers(self) -> bool:
        try:
            return httpx.get(f"{self.web_url}/health", timeout=5).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def _provider_listens(self) -> bool:
        port = int(self.provider_url.rpartition(":")[2])
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0


def _catches(pid: int, number: signal.Signals) -> bool:
    """Whether process `pid` has installed its handler of signal `number` (Linux, proc(5))."""
    [mask] = re.findall(r"^SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return bool(int(mask, 16) & 1 << number - 1)


def _wait_until(ready: Callable[[], bool], process: RunningProcess) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not ready():
        ended = process.popen.poll()
        if ended is not None or time.monotonic() > deadline:
            reason = f"ended with exit code {ended}" if ended is not None else "is not ready"
            raise AssertionError(
                f"{process.name} {reason}; its log ends:\n{end_of_log(process.log)}"
            )
        time.sleep(0.05)
