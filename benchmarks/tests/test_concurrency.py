"""The bench runs the concurrency suite, and believes only tests that ran."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.concurrency import SUITE, run_concurrency_suite
from benchmarks.machine import ROOT


@pytest.mark.parametrize(
    ("tests", "passed", "summary"),
    [
        ("def test_one(): assert True", True, "1 passed"),
        ("def test_one(): assert True\ndef test_two(): assert False", False, "1 failed, 1 passed"),
        ("", False, "no tests ran"),
    ],
)
def test_a_suite_passes_if_all_of_its_tests_do(
    tmp_path: Path, tests: str, passed: bool, summary: str
) -> None:
    (tmp_path / "test_it.py").write_text(tests)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}

    verdict = run_concurrency_suite(environment=environment, suite=str(tmp_path))

    assert verdict.passed is passed
    assert verdict.summary.startswith(summary)


def test_the_suite_of_the_product_is_where_it_is_looked_for() -> None:
    assert list((ROOT / SUITE).glob("test_*.py"))
