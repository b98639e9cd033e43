"""A whole shop as `make run` starts it, from any checkout."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg

from oms.tests.faults.ports import free_ports
from oms.tests.faults.processes import KINDS, ShopProcess, processes_below
from oms.tests.faults.shop_environment import OWN_VALKEY, environment_of
from oms.tests.faults.valkey import Valkey

_START_SECONDS = 300.0
_STOP_SECONDS = 60.0
# The demo staff account.
STAFF_EMAIL, STAFF_PASSWORD = "admin@example.com", "admin-demo-1"
_MESSAGE_ID = re.compile(r"^message-id:\s*<([^>]+)>", re.IGNORECASE | re.MULTILINE)


class ShopEnded(Exception):
    """All of the shop has ended by itself."""


class Shop:
    """The shop of the checkout `project`, with its data in `folder`; a context manager."""

    def __init__(
        self, *, project: Path, folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.project, self.folder = project, folder
        self.compares_books = True
        """Whether an experiment ends with `manage.py reconcile`."""
        self.port = free_ports()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "make-run.log"
        self.environment = environment_of(
            project=project, folder=folder, port=self.port, more=environment or {}
        )
        self.own_valkey: Valkey | None = None
        if self.environment.get("REDIS_URL") == OWN_VALKEY:
            self.own_valkey = Valkey(
                project=project, folder=folder / "own-valkey", port=self.port + 2
            )
            self.environment["REDIS_URL"] = self.own_valkey.url
        self._process: subprocess.Popen[bytes] | None = None
        self.beside: list[subprocess.Popen[bytes]] = []
        self._numbers: Counter[str] = Counter()
        self._variables: dict[str, str] = {}
        # When it was first open: what is older is the demo shop's.
        self.opened: datetime | None = None

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
        if self.own_valkey is not None and not self.own_valkey.is_running():
            self.own_valkey.start()
        self._numbers.clear()
        self._process = self._popen([self._python, "manage.py", "up"], self.environment)
        try:
            self.wait_until(self._has_all_children, seconds=_START_SECONDS, what="it has started")
            self.wait_until(self.is_whole, seconds=_START_SECONDS, what="the shop is open")
        except (TimeoutError, ShopEnded) as error:
            self.stop()
            raise RuntimeError(f"{error} Its log is {self.log}") from error
        self._numbers = self._count_processes()
        self._variables = self.processes("beat")[0].environment()
        self.opened = self.opened or self.value("SELECT now()")

    def stop(self) -> int | None:
        """End it as Ctrl-C does; returns its exit code, None if it had to be killed."""
        assert self._process is not None
        for process in list(self.beside):
            self.stop_beside(process)
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            for each in self.processes():
                each.signal(signal.SIGKILL)
            self._process.kill()
            self._process.wait()
            return None
        finally:
            if self.own_valkey is not None and self.own_valkey.is_running():
                self.own_valkey.stop(signal.SIGTERM)

    def start_beside(
        self, name: str, *, environment: Mapping[str, str], options: str = ""
    ) -> subprocess.Popen[bytes]:
        """Start another process `name` of the Procfile, as a second machine would.

        `environment` is added to that of the first, `options` to its command line. It ends with
        the shop at the latest.
        """
        lines = (self.project / "Procfile").read_text().splitlines()
        [command] = [line.partition(": ")[2] for line in lines if line.startswith(f"{name}: ")]
        process = self._popen(
            ["sh", "-c", f"{command} {options}"], {**self._variables, **environment}
        )
        self.beside.append(process)
        return process

    def stop_beside(self, process: subprocess.Popen[bytes]) -> None:
        """End a process of `start_beside` by SIGTERM, and what is left of it by SIGKILL."""
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.beside.remove(process)

    def _popen(self, command: list[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as output:
            return subprocess.Popen(
                command,
                cwd=self.project,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def _python(self) -> str:
        return str(self.project / ".venv/bin/python")

    def signal_supervisor(self, number: signal.Signals) -> None:
        """Send a signal to `manage.py up` alone, such as SIGSTOP."""
        os.kill(self.pid, number)

    def processes(self, kind: str | None = None) -> list[ShopProcess]:
        """Its processes, all or those of one kind of `oms.tests.faults.processes.KINDS`."""
        found = processes_below(self.pid)
        return found if kind is None else [each for each in found if each.kind == kind]

    def kinds(self) -> frozenset[str]:
        """The kinds of processes that `make run` keeps running: servers outside are none."""
        outside = {"provider"} if self.environment["SANDBOX_PROVIDER_URL"] else set()
        return KINDS - outside - ({"valkey"} if self.environment["REDIS_URL"] else set())

    def is_whole(self) -> bool:
        """Whether as many processes as at the start run and the shop takes orders, not degraded."""
        if not self._count_processes() >= self._numbers:
            return False
        return self.answers(self.url)

    def answers(self, url: str) -> bool:
        """Whether the web there takes orders, with all that it depends on up."""
        try:
            answer = httpx.get(f"{url}/health/ready", timeout=3)
        except httpx.TransportError:
            return False
        return answer.status_code == httpx.codes.OK and answer.json().get("status") == "ok"

    def _count_processes(self) -> Counter[str]:
        """How many processes it has of each kind, but for PostgreSQL's backends, which vary."""
        return Counter(
            process.kind for process in self.processes() if process.kind != "postgres backend"
        )

    def _has_all_children(self) -> bool:
        """Whether all kinds run, and two children of each main that has children."""
        numbers = self._count_processes()
        return self.kinds() <= numbers.keys() | {"postgres backend"} and all(
            number >= 2 for kind, number in numbers.items() if kind.endswith((" child", " worker"))
        )

    def wait_until(
        self, condition: Callable[[], bool], *, seconds: float, what: str, every: float = 0.1
    ) -> float:
        """Wait for `condition`; returns the seconds that it took.

        Raises TimeoutError, and ShopEnded.
        """
        began = time.monotonic()
        while not condition():
            if not self.is_running():
                raise ShopEnded(f"The shop has ended before {what}.")
            if time.monotonic() - began > seconds:
                raise TimeoutError(f"It took longer than {seconds:g} s until {what}.")
            time.sleep(every)
        return time.monotonic() - began

    def connect(self) -> psycopg.Connection[Any]:
        """A new connection to its database, in autocommit mode."""
        return psycopg.connect(self.variable("DATABASE_URL"), autocommit=True, connect_timeout=10)

    def rows(self, query: str, parameters: Any = None) -> list[Any]:
        """The rows of one query."""
        with self.connect() as connection:
            return connection.execute(query, parameters).fetchall()

    def execute(self, *statements: str) -> None:
        """Execute statements that return no rows, each in its own transaction."""
        with self.connect() as connection:
            for statement in statements:
                connection.execute(statement)

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

    def message_ids(self) -> Counter[str]:
        """How often each mail was written, by its Message-ID."""
        return Counter(found for mail in self.mails() for found in _MESSAGE_ID.findall(mail))

    def manage(self, *arguments: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        """Run `manage.py` as an operator does, and return what it printed."""
        return subprocess.run(
            [self._python, "manage.py", *arguments],
            cwd=self.project,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def variable(self, name: str) -> str:
        """An environment variable of its processes, as they got it at the last start."""
        return self._variables[name]
