"""The PostgreSQL, the Valkey and the environment variables of one test run.

A run has servers, folders and ports of its own, so several runs go side by side. Its processes
share them by environment variables: the process that starts the run sets them; pytest-xdist's
workers, and the web servers and Celery workers that some tests start, inherit them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from oms.devserver.ports import free_port
from oms.devserver.postgres import local_postgres
from oms.devserver.processes import ChildProcesses
from oms.devserver.valkey import local_valkey

ROOT = Path(__file__).resolve().parent.parent.parent

_FIXED = {
    # The Celery application, imported with the package, names the production settings.
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
    "LOG_FORMAT": "json",
    "LOG_LEVEL": "WARNING",
    "WORKER_SOFT_SHUTDOWN_TIMEOUT": "15",
    # The tests keep every core busy, so a process with a lower priority would never start.
    "BACKGROUND_NICE": "0",
}
"""What the tests rely on, regardless of the developer's shell and .env file."""


def start_services(*, has_workers: bool) -> Callable[[], None]:
    """Start the run's servers and set the environment accordingly; returns what stops them.

    With pytest-xdist each worker starts a PostgreSQL of its own: see `separate_worker`.
    TEST_DATABASE_URL and TEST_REDIS_URL name servers to use instead. DATABASE_URL and REDIS_URL
    are ignored on purpose: they may be a real shop's.
    """
    os.environ.update(_FIXED)
    for name in ("DATABASE_URL", "REDIS_URL"):
        os.environ.pop(name, None)
    parent = ROOT / "var" / "test"
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=parent))
    os.environ["VAR_DIR"] = str(folder)
    with ExitStack() as stack:
        children = ChildProcesses()
        stack.callback(children.close)
        children.remove_at_end(folder)
        if url := os.environ.get("TEST_DATABASE_URL"):
            os.environ["DATABASE_URL"] = url
        elif has_workers:
            # It runs no tests, but loads the settings, which want a database.
            os.environ["DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/none"
        else:
            _start_postgres(folder, children, stack)
        if url := os.environ.get("TEST_REDIS_URL"):
            os.environ["REDIS_URL"] = url
        else:
            valkey = local_valkey(
                data=folder / "valkey",
                log=folder / "valkey.log",
                port=free_port(),
                children=children,
                durable=False,
            )
            os.environ["REDIS_URL"] = stack.enter_context(valkey).url
        return stack.pop_all().close


def separate_worker(worker: str) -> Callable[[], None]:
    """Give pytest-xdist's worker ("gw3") a PostgreSQL, a Redis database and a folder of its own.

    PostgreSQL numbers transactions over all databases of a server, and an open one delays the
    readers of the event log in all of them: on a shared server the workers would wait for each
    other's tests. With TEST_DATABASE_URL each worker has its own database there. Returns what stops
    the server.
    """
    number = int(worker.removeprefix("gw")) + 1
    base, _, _ = os.environ["REDIS_URL"].rpartition("/")
    os.environ["REDIS_URL"] = f"{base}/{number}"
    folder = Path(os.environ["VAR_DIR"]) / worker
    folder.mkdir(exist_ok=True)
    os.environ["VAR_DIR"] = str(folder)
    with ExitStack() as stack:
        if not os.environ.get("TEST_DATABASE_URL"):
            children = ChildProcesses()
            stack.callback(children.close)
            _start_postgres(folder, children, stack)
        return stack.pop_all().close


def _start_postgres(folder: Path, children: ChildProcesses, stack: ExitStack) -> None:
    postgres = local_postgres(
        data=folder / "postgres", log=folder / "postgres.log", children=children, durable=False
    )
    os.environ["DATABASE_URL"] = stack.enter_context(postgres).url
