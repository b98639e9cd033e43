"""A benchmark fails if the shop is inconsistent afterwards, or a concurrency test fails."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from benchmarks.processes import Shop
from benchmarks.servers import ROOT, BenchError
from benchmarks.verification import CONCURRENCY_TESTS, reconcile, run_concurrency_tests


class _Shop(Shop):
    def __init__(self, output: str) -> None:
        self._output = output

    def run_python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(arguments, 1, stdout=self._output, stderr="Traceback")


def _output(**violations: int) -> str:
    checks = [
        {"name": name, "violations": number, "shown": ["one"]}
        for name, number in violations.items()
    ]
    return json.dumps({"checks": checks})


def test_a_check_with_violations_is_reported() -> None:
    shop = _Shop(_output(stock_is_sum_of_movements=2, one_capture_for_an_order=0))

    [sentence] = reconcile(shop, with_background=False)

    assert sentence.startswith("stock_is_sum_of_movements: 2 violations")


def test_unread_events_are_a_violation_only_if_workers_run() -> None:
    shop = _Shop(_output(consumers_up_to_date=1))

    assert reconcile(shop, with_background=False) == []
    assert len(reconcile(shop, with_background=True)) == 1


def test_a_reconcile_that_crashes_is_an_error() -> None:
    with pytest.raises(BenchError, match="Traceback"):
        reconcile(_Shop(""), with_background=False)


@pytest.mark.parametrize(
    ("tests", "passed", "summary"),
    [
        ("def test_one(): assert True", True, "1 passed"),
        ("def test_one(): assert True\ndef test_two(): assert False", False, "1 failed, 1 passed"),
        ("", False, "no tests ran"),
    ],
)
def test_a_test_run_passes_only_if_all_of_its_tests_do(
    tmp_path: Path, tests: str, passed: bool, summary: str
) -> None:
    (tmp_path / "test_it.py").write_text(tests)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}

    run = run_concurrency_tests(environment=environment, path=str(tmp_path))

    assert run.passed is passed
    assert run.summary.startswith(summary)


def test_the_concurrency_tests_exist() -> None:
    assert list((ROOT / CONCURRENCY_TESTS).glob("test_*.py"))
