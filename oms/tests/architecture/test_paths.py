"""Packages below the apps name none of the apps' paths and modules: settings name them instead."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from oms.testing.environment import ROOT

LOWER = ("core", "db", "queue", "events", "http", "api", "backoffice")
APPS = "inventory|payments|orders|notifications|reports"
PATH_OR_MODULE_OF_AN_APP = re.compile(rf"/?(api/v1|admin)/\w|({APPS})\.[a-z_.]+\w$")


def paths_in(source: str) -> list[int]:
    """The lines of the strings in `source` that are paths or modules of an app."""
    return sorted(
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and PATH_OR_MODULE_OF_AN_APP.match(node.value)
    )


def product_files() -> Iterator[Path]:
    for package in LOWER:
        for path in (ROOT / "oms" / package).rglob("*.py"):
            # The codes of permissions look like modules.
            if "tests" not in path.parts and path.name != "permissions.py":
                yield path


def test_no_lower_package_names_a_path_or_module_of_an_app() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in product_files()
        for line in paths_in(path.read_text())
    ]

    assert found == []


def test_paths_and_modules_are_found() -> None:
    source = """
PLACE = ("POST", "/api/v1/orders")
LOGIN = "/admin/login/"
API = "/api/v1/"
TASK = "payments.process"
TEXT = "orders. And more."
"""

    assert paths_in(source) == [2, 3, 5]
