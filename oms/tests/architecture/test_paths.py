"""Packages below the apps know none of the apps' paths: routes are named in settings instead."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from oms.testing.environment import ROOT

LOWER = ("core", "db", "queue", "events", "http", "api", "backoffice")
PATH_OF_AN_APP = re.compile(r"/?(api/v1|admin)/\w")


def paths_in(source: str) -> list[int]:
    """The lines of the strings in `source` that are paths of an app."""
    return sorted(
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and PATH_OF_AN_APP.match(node.value)
    )


def product_files() -> Iterator[Path]:
    for package in LOWER:
        for path in (ROOT / "oms" / package).rglob("*.py"):
            if "tests" not in path.parts:
                yield path


def test_no_lower_package_names_a_path_of_an_app() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in product_files()
        for line in paths_in(path.read_text())
    ]

    assert found == []


def test_a_path_is_found() -> None:
    source = 'PLACE = ("POST", "/api/v1/orders")\nLOGIN = "/admin/login/"\nAPI = "/api/v1/"\n'

    assert paths_in(source) == [1, 2]
