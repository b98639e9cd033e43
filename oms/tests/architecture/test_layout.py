"""Rules for files: no signals, no grab-bag modules, at most 300 lines, documented settings."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from honcho.environ import parse_procfile

from oms.testing.environment import ROOT

_OWN = [
    path
    for top in ("inventory", "notifications", "oms", "orders", "payments", "reports")
    for path in sorted((ROOT / top).rglob("*.py"))
    if "migrations" not in path.parts
]
_PRODUCT = [path for path in _OWN if "tests" not in path.parts]


def _named(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def test_no_module_is_a_grab_bag() -> None:
    assert _named([p for p in _OWN if p.name in {"utils.py", "helpers.py", "common.py"}]) == []


def test_no_file_of_the_product_passes_300_lines() -> None:
    assert _named([p for p in _PRODUCT if len(p.read_text().splitlines()) > 300]) == []


def test_no_django_signals_are_used() -> None:
    pattern = re.compile(r"django\.db\.models\.signals|django\.dispatch|@receiver\b")
    assert _named([p for p in _PRODUCT if pattern.search(p.read_text())]) == []


def test_no_exception_is_swallowed() -> None:
    found = []
    for path in _PRODUCT:
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.ExceptHandler)
                and (node.type is None or getattr(node.type, "id", "") in {"Exception"})
                and all(isinstance(step, ast.Pass) for step in node.body)
            ):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert found == []


@pytest.mark.django_db
def test_the_migrations_match_the_models() -> None:
    output = StringIO()
    try:
        call_command("makemigrations", "--check", "--dry-run", stdout=output)
    except SystemExit:
        pytest.fail(output.getvalue())


def _settings_with(*env_files: Path, folder: Path) -> dict[str, Any]:
    """The settings with DEBUG on and the variables of `env_files`, as far as JSON can hold them."""
    code = (
        "import environ, json, sys\n"
        "for path in sys.argv[1:]: environ.Env.read_env(path)\n"
        "import oms.settings\n"
        "for name, value in vars(oms.settings).items():\n"
        "    try: print(json.dumps({name: value}) if name.isupper() else '{}')\n"
        "    except TypeError: pass\n"
    )
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": str(ROOT),
        "DEBUG": "1",
        "LOG_FORMAT": "json",
        "VAR_DIR": str(folder),
    }
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, env_files)],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, Any] = {}
    for line in done.stdout.splitlines():
        found |= json.loads(line)
    assert {"REDIS_URL", "CACHES", "PUBLIC_URL", "RATE_LIMITS"} <= set(found)
    return found


class TestSettings:
    """.env.example lists every variable that is read, and no other."""

    def test_every_setting_is_in_the_example(self) -> None:
        code = "".join(path.read_text() for path in (ROOT / "oms" / "settings").glob("*.py"))
        read = set(re.findall(r'(?:env(?:\.\w+)?|secret|service_url|rate)\(\s*"([A-Z_]+)"', code))
        for name in ("Procfile", "deploy/background", "docker-compose.yml"):
            read |= set(re.findall(r"\$\{([A-Z_]+)", (ROOT / name).read_text()))
        example = (ROOT / ".env.example").read_text()
        listed = set(re.findall(r"^#?([A-Z_]+)=", example, flags=re.MULTILINE))

        tests_only = {"TEST_DATABASE_URL", "TEST_REDIS_URL"}
        assert read - listed == set()
        assert listed - read - tests_only == set()

    def test_a_copy_of_the_example_changes_only_the_allowed_hosts(self, tmp_path: Path) -> None:
        """The file lists all settings with their defaults."""
        defaults = _settings_with(folder=tmp_path)
        copied = _settings_with(ROOT / ".env.example", folder=tmp_path)

        assert {name for name in defaults if defaults[name] != copied[name]} == {"ALLOWED_HOSTS"}

    def test_the_containers_run_the_processes_of_the_procfile(self) -> None:
        compose = (ROOT / "docker-compose.yml").read_text()
        for name in parse_procfile((ROOT / "Procfile").read_text()).processes:
            assert f"\n  {name}:\n" in compose
