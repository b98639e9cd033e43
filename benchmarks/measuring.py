"""One measurement: a load on the shop, and what it cost whom."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks import cpu
from benchmarks.calls import Calls
from benchmarks.machine import BenchError

_LOADER = Path(__file__).parent / "loader.py"
_WARM_UP = 0.5
# So that each number of a run has twelve digits, and no two calls the same.
_numbers = count(100_000_000_000, 100_000_000)


@dataclass(kw_only=True)
class Measured:
    """A row in one round.

    `rate` is requests a second (orders for bulk), latencies are seconds a request, `cpu` maps who
    ("web", "postgres", "valkey", "loader") to CPU seconds for one request or order. `ratio` is
    `rate` by that of TPC-B around it. `statements` is how many of SQL one request or order needs,
    and `sql` how often it needs each.
    """

    rate: float
    p50: float
    p99: float
    cpu: Mapping[str, float] = field(default_factory=dict)
    ratio: float | None = None
    statements: float | None = None
    sql: Mapping[str, float] = field(default_factory=dict)
    errors: int = 0
    troubles: Sequence[str] = ()
    notes: Mapping[str, float] = field(default_factory=dict)


def load(
    calls: Calls,
    *,
    port: int,
    connections: int,
    seconds: float,
    warm_up: float = _WARM_UP,
    rate: float | None = None,
) -> dict[str, Any]:
    """The loader's report; see benchmarks/loader.py."""
    job = {
        "port": port,
        "connections": connections,
        "seconds": seconds,
        "warm_up": warm_up,
        "first_number": next(_numbers),
        "requests": list(calls.calls),
        "expected": [calls.status],
        "sample": calls.checked_every,
        "rate": rate,
    }
    done = subprocess.run(
        [sys.executable, "-I", str(_LOADER)],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + warm_up + 60,
    )
    if done.returncode:
        raise BenchError(f"The loader failed:\n{done.stderr[-3000:]}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def measure(
    calls: Calls,
    *,
    port: int,
    connections: int,
    seconds: float,
    orders: int,
    trees: Mapping[str, int],
) -> Measured:
    """Load what listens on `port`, and account for the CPU time of `trees`."""
    before = cpu.seconds_of(trees)
    report = load(calls, port=port, connections=connections, seconds=seconds)
    after = cpu.seconds_of(trees)
    done = max(1, report["answered"]) * orders
    spent = {name: (after[name] - before[name]) / done for name in trees}
    return Measured(
        rate=report["rate"] * orders,
        p50=report["p50"],
        p99=report["p99"],
        cpu={**spent, "loader": report["cpu"] / done},
        errors=report["unexpected"],
        troubles=report["troubles"],
    )
