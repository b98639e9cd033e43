"""What must hold after a load: `manage.py reconcile` and the concurrency tests."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.processes import Shop
from benchmarks.servers import ROOT, BenchError

CONCURRENCY_TESTS = "oms/tests/concurrency"
# Expected to fail without workers, which read the event log and expire orders; the last is the
# first's name in older code bases.
_NEEDS_WORKERS = frozenset({"consumers_up_to_date", "no_overdue_orders", "consumers_keep_up"})


def reconcile(shop: Shop, *, with_background: bool) -> list[str]:
    """A sentence for each check of `manage.py reconcile` that finds violations."""
    options = [] if with_background else ["--offline"]
    done = shop.run_python("manage.py", "reconcile", "--format", "json", *options)
    try:
        checks = json.loads(done.stdout)["checks"]
    except (ValueError, KeyError) as error:
        raise BenchError(f"manage.py reconcile failed:\n{done.stderr[-3000:]}") from error
    return [
        f"{check['name']}: {check['violations']} violations, such as {check['shown'][:2]}"
        for check in checks
        if check["violations"] and (with_background or check["name"] not in _NEEDS_WORKERS)
    ]


@dataclass(frozen=True, kw_only=True)
class TestRun:
    """How the tests ended: pytest's last line, and its whole output."""

    passed: bool
    summary: str
    output: str


def run_concurrency_tests(
    *, environment: Mapping[str, str], path: str = CONCURRENCY_TESTS
) -> TestRun:
    """Run the tests with servers of their own. A run of no tests has not passed."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", path],
        cwd=ROOT,
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    output = done.stdout + done.stderr
    lines = [line.strip("= ") for line in output.splitlines() if line.strip("= ")]
    return TestRun(
        passed=done.returncode == 0, summary=lines[-1] if lines else "no output", output=output
    )
