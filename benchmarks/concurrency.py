"""The product's own suite of races and crowds, run after a bench on the code that was measured."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.machine import ROOT

SUITE = "oms/tests/concurrency"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How the suite ended: pytest's last line, and all that it said."""

    passed: bool
    summary: str
    said: str


def run_concurrency_suite(*, environment: Mapping[str, str], suite: str = SUITE) -> Verdict:
    """Run the suite with servers of its own, in an environment that knows nothing of the bench's.

    A suite in which no test ran has not passed.
    """
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", suite],
        cwd=ROOT,
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    lines = [line.strip("= ") for line in said.splitlines() if line.strip("= ")]
    return Verdict(
        passed=done.returncode == 0, summary=lines[-1] if lines else "it said nothing", said=said
    )
