"""The requirement files, and how they are installed."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from oms.devserver.install import pinned
from oms.testing.environment import ROOT

_PIN = re.compile(r"^[A-Za-z0-9._-]+(\[[a-z,-]+\])?==[^=;\s]+( ?; .+)?$")


def _lines(name: str) -> list[str]:
    return [
        line
        for line in (ROOT / name).read_text().splitlines()
        if line and not line.startswith(("#", "-r "))
    ]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_version_is_pinned(name: str) -> None:
    assert [line for line in _lines(name) if not _PIN.match(line)] == []


@pytest.mark.parametrize(
    "names", [["requirements.txt"], ["requirements.txt", "requirements-dev.txt"]]
)
def test_everything_that_a_package_needs_is_pinned_too(names: list[str]) -> None:
    requirements = [Requirement(line) for name in names for line in _lines(name)]
    listed = {canonicalize_name(requirement.name) for requirement in requirements}

    missing = set()
    for requirement in requirements:
        if requirement.marker and not requirement.marker.evaluate():
            continue
        for needed in map(Requirement, metadata.requires(requirement.name) or []):
            wanted = not needed.marker or any(
                needed.marker.evaluate({"extra": extra}) for extra in {*requirement.extras, ""}
            )
            if wanted and canonicalize_name(needed.name) not in listed:
                missing.add(f"{needed.name}, for {requirement.name}")

    assert missing == set()


def test_packages_are_counted_with_those_of_included_files(tmp_path: Path) -> None:
    (tmp_path / "base.txt").write_text("# one\na==1\n\nb==2\n")
    (tmp_path / "more.txt").write_text("-r base.txt\nc==3\n")

    assert pinned(tmp_path / "more.txt") == 3


def test_a_failure_shows_what_pip_said(tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_text("-e /nowhere/at/all\n")

    done = subprocess.run(
        [sys.executable, "oms/devserver/install.py", str(tmp_path / "bad.txt")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert "pip failed" in done.stdout
    assert "/nowhere/at/all" in done.stdout
