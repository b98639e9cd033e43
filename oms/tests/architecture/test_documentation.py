"""What the documentation names exists: files, functions, numbers."""

from __future__ import annotations

import re

import pytest

from oms.checks import CHECKS
from oms.testing.environment import ROOT

_TEXT = (ROOT / "docs" / "architecture.md").read_text()
_WALK = _TEXT[_TEXT.index("## One order") : _TEXT.index("## Placing many orders")]
_NAME = r"`([A-Za-z_]+)(?:\.([a-z_]+))?`"
_FILE = r"`([a-z_]+/[a-z_/]+\.py)`"


def test_every_file_that_is_named_exists() -> None:
    named = set(re.findall(_FILE, _TEXT))

    assert len(named) > 20
    assert {path for path in named if not (ROOT / path).exists()} == set()


@pytest.mark.parametrize(
    ("name", "method", "path"),
    [
        *re.findall(rf"{_NAME} \({_FILE}", _WALK),
        *re.findall(rf"{_NAME}, {_FILE}", _WALK),
        *[(name, method, path) for path, name, method in re.findall(rf"{_FILE} \({_NAME}", _WALK)],
        *[(name, method, path) for name, method, path in re.findall(rf"{_NAME} in {_FILE}", _WALK)],
    ],
)
def test_every_function_that_is_named_exists_in_its_file(name: str, method: str, path: str) -> None:
    code = (ROOT / path).read_text()

    assert re.search(rf"^(?:class|def) {name}\b", code, flags=re.MULTILINE)
    assert not method or f"def {method}(" in code


def test_the_number_of_checks_is_as_the_documentation_shows_it() -> None:
    shown = {
        int(number)
        for page in (ROOT / "docs").rglob("*.md")
        for number in re.findall(r"(\d+) checks, no violations", page.read_text())
    }

    # And that of the daily reports, and of the ledger of the sandbox.
    assert shown == {len(CHECKS) + 2}
