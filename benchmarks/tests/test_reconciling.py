"""A bench fails if what it loaded no longer adds up."""

from __future__ import annotations

import json
import subprocess

import pytest

from benchmarks.machine import BenchError, Shop
from benchmarks.reconciling import broken_promises


class _Shop(Shop):
    def __init__(self, said: str) -> None:
        self._said = said

    def manage(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(words, 1, stdout=self._said, stderr="Traceback")


def _said(**violations: int) -> str:
    checks = [
        {"name": name, "violations": number, "shown": ["one"]}
        for name, number in violations.items()
    ]
    return json.dumps({"checks": checks})


def test_a_check_that_does_not_hold_is_told() -> None:
    shop = _Shop(_said(stock_is_sum_of_movements=2, one_capture_for_an_order=0))

    [sentence] = broken_promises(shop, is_background_on=False)

    assert sentence.startswith("stock_is_sum_of_movements: 2 violations")


def test_a_log_that_nobody_reads_may_lag_only_without_the_background() -> None:
    shop = _Shop(_said(consumers_keep_up=1))

    assert broken_promises(shop, is_background_on=False) == []
    assert len(broken_promises(shop, is_background_on=True)) == 1


def test_a_reconcile_that_crashes_is_no_clean_one() -> None:
    with pytest.raises(BenchError, match="Traceback"):
        broken_promises(_Shop(""), is_background_on=False)
