"""A whole shop as `make run` starts it, from any checkout."""

from __future__ import annotations

import os
import random
import signal
import socket
import sqlite3
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import psycopg

from oms.devserver.errors import end_of_log
from oms.tests.faults.processes import KINDS, ShopProcess, processes_below

_START_SECONDS = 120.0
_STOP_SECONDS = 60.0
# The demo staff account.
STAFF_EMAIL, STAFF_PASSWORD = "admin@example.com", "admin-demo-1"
# The limits are not what is tested here, and all clients share an address.
_NO_LIMITS = {
    f"RATE_LIMIT_{name}": "1000000/minute"
    for name in ("REGISTER", "TOKEN", "TOKEN_ACCOUNT", "PASSWORD", "PLACE", "USER", "ANONYMOUS")
}
# PORT moves three ports: web, provider, Valkey.
_PORTS = 3


class Shop:
    """The shop of the checkout `project`, with its data in `folder`; a context manager."""

    def __init__(
        self, *, project: Path, folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.project, self.folder = project, folder
        self.port = _free_ports()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "make-run.log"
        self.environment = {
            **os.environ,
            **_NO_LIMITS,
            "DEBUG": "1",
            "LOG_FORMAT": "json",
            "PORT": str(self.port),
            "VAR_DIR": str(folder),
            "PATH": f"{project / '.venv/bin'}{os.pathsep}{os.environ['PATH']}",
            **(environment or {}),
        }
        for name in ("DATABASE_URL", "REDIS_URL"):
            self.environment.pop(name, None)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Shop:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process of `manage.py up`."""
        assert self._process is not None
        return self._process.pid

    def is_running(self) -> bool:
        """Whether `manage.py up` has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start everything and wait until the shop is whole. RuntimeError if it does not start."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(self.project / ".venv/bin/python"), "manage.py", "up"],
                cwd=self.project,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self.wait_until(self.is_whole, seconds=_START_SECONDS, what="the shop is open")
        except TimeoutError as error:
            self.stop()
            raise RuntimeError(f"{error}\n{end_of_log(self.log)}") from error

    def stop(self) -> int | None:
        """End it as Ctrl-C does; returns its exit code, None if it had to be killed."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            for process in self.processes():
                process.signal(signal.SIGKILL)
            self._process.kill()
            self._process.wait()
            return None

    def processes(self, kind: str | None = None) -> list[ShopProcess]:
        """Its processes, all or those of one kind of `oms.tests.faults.processes.KINDS`."""
        found = processes_below(self.pid)
        return found if kind is None else [each for each in found if each.kind == kind]

    def kinds(self) -> frozenset[str]:
        """The kinds of processes that `make run` keeps running: an outside provider is none."""
        return KINDS - {"provider"} if "SANDBOX_PROVIDER_URL" in self.environment else KINDS

    def is_whole(self) -> bool:
        """Whether every kind of process runs and the shop takes orders with all dependencies up."""
        if not self.kinds() <= {process.kind for process in self.processes()}:
            return False
        try:
            answer = httpx.get(f"{self.url}/health/ready", timeout=3)
        except httpx.TransportError:
            return False
        return answer.status_code == httpx.codes.OK and answer.json().get("status") == "ok"

    def wait_until(
        self, condition: Callable[[], bool], *, seconds: float, what: str, every: float = 0.1
    ) -> float:
        """Wait for `condition`; returns the seconds that it took, or raises TimeoutError."""
        began = time.monotonic()
        while not condition():
            if not self.is_running():
                raise TimeoutError(f"The shop has ended before {what}.")
            if time.monotonic() - began > seconds:
                raise TimeoutError(f"It took longer than {seconds:g} s until {what}.")
            time.sleep(every)
        return time.monotonic() - began

    def connect(self) -> psycopg.Connection[Any]:
        """A new connection to its database, in autocommit mode."""
        return psycopg.connect(self.variable("DATABASE_URL"), autocommit=True, connect_timeout=3)

    def rows(self, query: str, parameters: Any = None) -> list[Any]:
        """The rows of one query."""
        with self.connect() as connection:
            return connection.execute(query, parameters).fetchall()

    def value(self, query: str, parameters: Any = None) -> Any:
        """The first column of the first row of one query."""
        return self.rows(query, parameters)[0][0]

    def staff_token(self) -> str:
        """An access token of the demo staff account."""
        answer = httpx.post(
            f"{self.url}/api/v1/auth/token",
            json={"email": STAFF_EMAIL, "password": STAFF_PASSWORD},
            timeout=20,
        )
        answer.raise_for_status()
        token: str = answer.json()["access"]
        return token

    def products(self, *, stock: int = 1_000_000, number: int = 8) -> list[str]:
        """The ids of new products with so much stock each."""
        headers = {"Authorization": f"Bearer {self.staff_token()}"}
        with httpx.Client(base_url=f"{self.url}/api/v1", timeout=20, headers=headers) as client:
            made = []
            for _ in range(number):
                name = f"FAULT-{uuid.uuid4().hex[:12]}"
                answer = client.post(
                    "/products",
                    json={"sku": name, "name": name, "price": "9.90", "initial_stock": stock},
                )
                answer.raise_for_status()
                made.append(answer.json()["id"])
        return made

    def ledger(self, query: str) -> list[Any]:
        """The rows of a query of the provider's ledger."""
        path = self.folder / "sandbox" / "ledger.sqlite3"
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def mails(self) -> list[str]:
        """The texts of all mails that were written."""
        folder = self.folder / "mail"
        return [file.read_text(errors="replace") for file in sorted(folder.glob("*"))]

    def manage(self, *arguments: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        """Run `manage.py` as an operator does, and return what it printed."""
        return subprocess.run(
            [str(self.project / ".venv/bin/python"), "manage.py", *arguments],
            cwd=self.project,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def variable(self, name: str) -> str:
        """An environment variable of its processes, as they got it."""
        for process in self.processes():
            if process.kind in {"web", "worker", "payments", "notifications", "beat"}:
                return process.environment()[name]
        raise RuntimeError("No process of the shop runs.")


def _free_ports() -> int:
    """A port such that it and the following ones are free, below those of outgoing connections."""
    while True:
        port = random.randrange(23_000, 32_000)
        if all(_is_free(port + further) for further in range(_PORTS)):
            return port


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
