"""`manage.py up` as a person runs it: a real process, from an empty folder to its end."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from oms.testing.environment import ROOT

_TEST_VARIABLES = ("DATABASE_URL", "REDIS_URL", "SANDBOX_PROVIDER_URL", "PYTEST_XDIST_WORKER")
# Without the demo shop, with the secrets of the tests' environment: it opens sooner.
_EMPTY = {"DEBUG": "0"}


def _three_free_ports() -> int:
    """A port that is free, as are the two after it, below those that the kernel gives to clients.

    Theirs would be free now, and taken when the shop gets to them.
    """
    while True:
        first = random.randrange(20_000, 32_000)
        with ExitStack() as stack, suppress(OSError):
            for port in range(first, first + 3):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return first


class Shop:
    """One `manage.py up`, its output in a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _three_free_ports()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "up.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, more: Mapping[str, str] | None = None, *, is_measured: bool = False) -> None:
        """Start it; `more` are further environment variables.

        Coverage is measured in all of its processes if `is_measured`. Once is enough: it slows
        every start by half.
        """
        environment = {k: v for k, v in os.environ.items() if k not in _TEST_VARIABLES}
        if not is_measured:
            environment.pop("COVERAGE_PROCESS_CONFIG", None)
        environment |= {
            "DEBUG": "1",
            "LOG_LEVEL": "INFO",
            "DJANGO_SETTINGS_MODULE": "oms.settings",
            "PORT": str(self.port),
            "VAR_DIR": str(self.folder / "var"),
            "WEB_WORKERS": "1",
            "WORKER_CONCURRENCY": "1",
            "PAYMENTS_CONCURRENCY": "1",
            "NOTIFICATIONS_CONCURRENCY": "1",
            **(more or {}),
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up"],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait_until_open(self) -> None:
        self._wait_for_output("Ctrl-C stops everything")

    def wait_until_workers_are_ready(self) -> None:
        """Wait for the three workers, which start once the web server responds."""
        self._wait_for_output(" ready.", times=3)

    def _wait_for_output(self, text: str, *, times: int = 1) -> None:
        assert self.process is not None
        deadline = time.monotonic() + 90
        while self.output().count(text) < times:
            assert self.process.poll() is None, self.output()
            assert time.monotonic() < deadline, self.output()
            time.sleep(0.1)

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def family(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self, number: signal.Signals) -> tuple[int, float]:
        """Send the signal; returns the exit code and the seconds that it took."""
        assert self.process is not None
        started = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(timeout=30)
        return code, time.monotonic() - started


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    yield shop
    if shop.process is not None and shop.process.poll() is None:
        shop.end(signal.SIGTERM)


def _still_running(family: list[psutil.Process]) -> list[str]:
    _, alive = psutil.wait_procs(family, timeout=8)
    return [
        f"{p.pid} {p.name()}"
        for p in alive
        if p.is_running() and p.status() != psutil.STATUS_ZOMBIE
    ]


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_shop_opens_stops_within_ten_seconds_and_opens_again_with_its_data(shop: Shop) -> None:
    shop.start(is_measured=True)
    shop.wait_until_open()
    products = httpx.get(f"{shop.url}/api/v1/products").json()["results"]
    assert products, "the demo shop has products"
    shop.wait_until_workers_are_ready()
    family = shop.family()
    assert len(family) >= 10

    code, seconds = shop.end(signal.SIGINT)

    assert code == 0, shop.output()
    assert seconds < 10
    assert _still_running(family) == []

    started = time.monotonic()
    shop.start()
    shop.wait_until_open()
    assert time.monotonic() - started < 30
    assert httpx.get(f"{shop.url}/api/v1/products").json()["results"] == products
    family = shop.family()

    code, seconds = shop.end(signal.SIGTERM)

    assert code == 0, shop.output()
    assert seconds < 10
    assert _still_running(family) == []


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_without_debug_there_is_no_demo_and_a_kill_leaves_no_process(shop: Shop) -> None:
    shop.start(_EMPTY)
    shop.wait_until_open()

    assert httpx.get(f"{shop.url}/api/v1/products").json()["results"] == []
    login = {"email": "admin@example.com", "password": "admin-demo-1"}
    assert httpx.post(f"{shop.url}/api/v1/auth/token", json=login).status_code == 401
    assert "admin-demo-1" not in shop.output()

    shop.wait_until_workers_are_ready()
    family = shop.family()
    shop.end(signal.SIGKILL)

    assert _still_running(family) == []


def _find(shop: Shop, words: str) -> psutil.Process:
    """The first of the shop's processes, mains before children, with `words` in its command."""
    assert shop.process is not None
    mains = psutil.Process(shop.process.pid).children()
    return next(p for p in [*mains, *shop.family()] if words in " ".join(p.cmdline()))


def _ready(shop: Shop) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = httpx.get(f"{shop.url}/health/ready", timeout=5).json()
    except httpx.TransportError:
        return {}
    return answer


@pytest.mark.fault
@pytest.mark.timeout(240)
def test_killed_and_frozen_processes_are_replaced_and_shown_as_ready(shop: Shop) -> None:
    shop.start(_EMPTY)
    shop.wait_until_workers_are_ready()
    victims = {
        "provider": (_find(shop, "payments.sandbox"), signal.SIGKILL),
        "valkey": (_find(shop, "valkey-server"), signal.SIGSTOP),
        "postgres": (_find(shop, "bin/postgres"), signal.SIGKILL),
        "beat": (_find(shop, " beat "), signal.SIGSTOP),
        "web": (_find(shop, "granian"), signal.SIGKILL),
    }
    orphans = victims["web"][0].children()

    for process, number in victims.values():
        process.send_signal(number)

    deadline = time.monotonic() + 60
    replaced = {name: {"status": "ok", "restarts": 1} for name in victims}
    while (answer := _ready(shop)).get("status") != "ok" or not (
        replaced.items() <= answer["processes"].items()
    ):
        assert shop.process is not None
        assert shop.process.poll() is None, shop.output()
        assert time.monotonic() < deadline, shop.output()
        time.sleep(0.2)
    assert answer["processes"]["payments"] == {"status": "ok", "restarts": 0}
    assert "supervisor" in shop.output()
    assert _still_running([*orphans, *(process for process, _ in victims.values())]) == []


@pytest.mark.fault
@pytest.mark.timeout(240)
def test_a_process_that_keeps_ending_stops_everything_with_its_last_words(shop: Shop) -> None:
    (shop.folder / "var" / "sandbox").mkdir(parents=True)
    (shop.folder / "var" / "sandbox" / "ledger.sqlite3").write_text("not a database at all" * 99)
    shop.start(_EMPTY)

    assert shop.process is not None
    assert shop.process.wait(timeout=120) == 1
    assert "The process `provider` ended five times in a row" in shop.output()
    assert "file is not a database" in shop.output().partition("Its last lines:")[2]


def test_a_port_in_use_is_reported_in_one_sentence(shop: Shop) -> None:
    with socket.create_server(("127.0.0.1", shop.port)):
        shop.start()
        assert shop.process is not None
        assert shop.process.wait(timeout=30) == 1

    assert f"Port {shop.port}, needed for the shop itself, is unavailable" in shop.output()
    assert "Traceback" not in shop.output()
    assert not (shop.folder / "var" / "postgres").exists()
