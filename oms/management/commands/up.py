"""The whole shop on one machine: `make run`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from oms.demo.accounts import CUSTOMER_EMAIL, CUSTOMER_PASSWORD, STAFF_EMAIL, STAFF_PASSWORD
from oms.devserver.errors import DevServerError
from oms.devserver.server import WORKER_GRACE_SECONDS, DevServer, reachable


class Command(BaseCommand):
    help = (
        "Run the whole shop: a local PostgreSQL and Valkey unless DATABASE_URL and REDIS_URL are "
        "set, migrations, the demo shop, and the processes of the Procfile."
    )
    # The checks need the database, which is not there yet; migrate runs them.
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        host = os.environ.get("HOST", "127.0.0.1")
        url = f"http://{reachable(host)}:{settings.PORT}"
        server = DevServer(
            project=settings.BASE_DIR,
            data=settings.VAR_DIR,
            host=host,
            port=settings.PORT,
            provider_port=None if os.environ.get("SANDBOX_PROVIDER_URL") else settings.SANDBOX_PORT,
            valkey_port=None if os.environ.get("REDIS_URL") else settings.VALKEY_PORT,
            has_postgres=not os.environ.get("DATABASE_URL"),
            environment=_environment(url),
            prepare=_prepare_database,
            banner=_banner(url),
            run_folder=settings.RUN_DIR,
        )
        try:
            ended = server.run()
        except DevServerError as error:
            raise CommandError(str(error)) from error
        if ended is not None:
            raise CommandError(
                f"The process `{ended.name}` ended five times in a row within a minute of its "
                f"start (exit code {ended.code}), so everything was stopped. Its last lines:\n"
                f"{ended.last_words}"
            )


def _prepare_database() -> None:
    print("Migrating the database …", flush=True)
    call_command("migrate", verbosity=0, interactive=False)
    # The demo accounts have well-known passwords; without DEBUG the seed would refuse.
    if settings.DEBUG and not get_user_model().objects.exists():
        print("Seeding the demo shop …", flush=True)
        call_command("seed")
    connections.close_all()


def _banner(url: str) -> str:
    lines = {
        "Shop API": f"{url}/api/v1/products",
        "Documentation": f"{url}/api/docs",
        "Back office": f"{url}/admin/",
        "Payment provider": settings.SANDBOX_PROVIDER_URL,
    }
    if not settings.EMAIL_URL:
        lines["Mail"] = str(settings.VAR_DIR / "mail")
    if settings.DEBUG:
        lines["Staff"] = f"{STAFF_EMAIL} / {STAFF_PASSWORD}"
        lines["Customer"] = f"{CUSTOMER_EMAIL} / {CUSTOMER_PASSWORD}"
    rows = "".join(f"    {name:<19}{value}\n" for name, value in lines.items())
    return f"\n  {settings.SHOP_NAME} is open\n\n{rows}\n  Ctrl-C stops everything\n"


def _environment(url: str) -> dict[str, str]:
    """The environment variables of the processes."""
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
        "WORKER_SOFT_SHUTDOWN_TIMEOUT": str(WORKER_GRACE_SECONDS),
        "WEB_STOP_SECONDS": str(WORKER_GRACE_SECONDS),
    }
    if not sys.stdout.isatty():
        environment["NO_COLOR"] = "1"
    if os.geteuid() == 0:
        # Sound advice on a server; on one machine it would hide the workers' own output.
        environment.setdefault("PYTHONWARNINGS", "ignore:You're running the worker with superuser")
    environment.setdefault("SANDBOX_WEBHOOK_URL", f"{url}/api/v1/payments/webhooks/sandbox")
    return environment
