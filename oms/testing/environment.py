"""The PostgreSQL, the Valkey and the environment variables of one run of the tests.

A run has servers, folders and ports of its own, so several runs go side by side. Its processes
agree by environment variables: what starts the run sets them, pytest-xdist's workers inherit them,
and so do the real web servers and workers that some tests start.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from oms.devserver import EmbeddedPostgres, EmbeddedValkey, Guard, free_port

ROOT = Path(__file__).resolve().parent.parent.parent

_FIXED = {
    # The Celery application, imported with the package, names the settings of the shop.
    "DJANGO_SETTINGS_MODULE": "oms.testing.settings",
    "DEBUG": "0",
    "HTTPS": "0",
    "ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
    "SECRET_KEY": "the-secret-key-of-the-tests-which-protects-nothing-at-all",
    "JWT_SIGNING_KEY": "the-signing-key-of-the-tests-which-protects-nothing-at-all",
    "SANDBOX_API_KEY": "the-api-key-of-the-tests",
    "SANDBOX_WEBHOOK_SECRET": "the-webhook-secret-of-the-tests",
    "EMAIL_URL": "",
    "TRUSTED_PROXIES": "0",
    "PAYMENT_CAPTURE": "automatic",
    "SHOP_CURRENCY": "EUR",
    "BUSINESS_TIME_ZONE": "Europe/Berlin",
    "ORDER_EXPIRY_MINUTES": "30",
    "DB_POOL_SIZE": "0",
    "LOG_FORMAT": "json",
    "LOG_LEVEL": "WARNING",
    "WORKER_SOFT_SHUTDOWN_TIMEOUT": "3",
    # Beside the tests' own processes, which keep every core busy, those that give way never begin.
    "BACKGROUND_NICE": "0",
}
"""What the tests rely on, whatever the developer's shell or .env file says."""


def start_services(*, has_workers: bool) -> Callable[[], None]:
    """Start the run's servers and point the environment at them; returns what stops them again.

    Workers of pytest-xdist start their PostgreSQL by themselves: see `separate_worker`.
    TEST_DATABASE_URL and TEST_REDIS_URL name servers to use instead. DATABASE_URL and REDIS_URL
    are ignored on purpose: they may be somebody's shop.
    """
    os.environ.update(_FIXED)
    for name in ("DATABASE_URL", "REDIS_URL"):
        os.environ.pop(name, None)
    parent = ROOT / "var" / "test"
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=parent))
    os.environ["VAR_DIR"] = str(folder)
    with ExitStack() as ends:
        guard = Guard()
        ends.callback(guard.close)
        guard.remove_at_end(folder)
        if given := os.environ.get("TEST_DATABASE_URL"):
            os.environ["DATABASE_URL"] = given
        elif not has_workers:
            _start_postgres(folder, guard=guard, ends=ends)
        if given := os.environ.get("TEST_REDIS_URL"):
            os.environ["REDIS_URL"] = given
        else:
            _start_valkey(folder, guard=guard, ends=ends)
        return ends.pop_all().close


def separate_worker(worker: str) -> Callable[[], None]:
    """Give pytest-xdist's worker ("gw3") a PostgreSQL, a Redis database and a folder of its own.

    PostgreSQL numbers transactions over all databases of a server, and what one has open holds back
    the readers of the event log in all of them: on a server of all workers they would wait for each
    other's tests. Where TEST_DATABASE_URL names one, each has a database of its own there. Returns
    what stops the server again.
    """
    number = int(worker.removeprefix("gw")) + 1
    base, _, _ = os.environ["REDIS_URL"].rpartition("/")
    os.environ["REDIS_URL"] = f"{base}/{number}"
    folder = Path(os.environ["VAR_DIR"]) / worker
    folder.mkdir(exist_ok=True)
    os.environ["VAR_DIR"] = str(folder)
    with ExitStack() as ends:
        if not os.environ.get("TEST_DATABASE_URL"):
            guard = Guard()
            ends.callback(guard.close)
            _start_postgres(folder, guard=guard, ends=ends)
        return ends.pop_all().close


def _start_postgres(folder: Path, *, guard: Guard, ends: ExitStack) -> None:
    postgres = EmbeddedPostgres(
        data=folder / "postgres", log=folder / "postgres.log", guard=guard, durable=False
    )
    ends.callback(postgres.stop)
    postgres.start()
    os.environ["DATABASE_URL"] = postgres.url


def _start_valkey(folder: Path, *, guard: Guard, ends: ExitStack) -> None:
    valkey = EmbeddedValkey(
        data=folder / "valkey",
        log=folder / "valkey.log",
        port=free_port(),
        guard=guard,
        durable=False,
    )
    ends.callback(valkey.stop)
    valkey.start()
    os.environ["REDIS_URL"] = valkey.url
