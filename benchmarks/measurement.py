"""One measurement: a load on a server, and what it cost each process."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.cpu import cpu_seconds
from benchmarks.requests import Requests
from benchmarks.servers import BenchError

_LOAD_GENERATOR = Path(__file__).parent / "load_generator.py"
_WARM_UP = 0.5
# Every request of a run gets its own number of twelve digits.
_numbers = count(100_000_000_000, 100_000_000)


@dataclass(kw_only=True)
class Measurement:
    """A scenario in one round.

    `rate` is requests (orders for bulk) a second, latencies are seconds, `cpu` maps a process to
    CPU seconds for one request (order). `ratio` is `rate` divided by TPC-B's around it. `sql` maps
    each statement to how often one request (order) sends it, and `statements` is their sum.
    """

    rate: float
    p50: float
    p99: float
    cpu: Mapping[str, float] = field(default_factory=dict)
    ratio: float | None = None
    statements: float | None = None
    sql: Mapping[str, float] = field(default_factory=dict)
    errors: int = 0
    examples: Sequence[str] = ()
    background: Mapping[str, float] = field(default_factory=dict)


def generate_load(
    requests: Requests,
    *,
    port: int,
    connections: int,
    seconds: float,
    warm_up: float = _WARM_UP,
    rate: float | None = None,
) -> dict[str, Any]:
    """The report of benchmarks/load_generator.py, which runs as a process of its own."""
    job = {
        "port": port,
        "connections": connections,
        "seconds": seconds,
        "warm_up": warm_up,
        "first_number": next(_numbers),
        "requests": list(requests.requests),
        "expected": [requests.status],
        "sample": requests.sample_every,
        "rate": rate,
    }
    done = subprocess.run(
        [sys.executable, "-I", str(_LOAD_GENERATOR)],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + warm_up + 60,
    )
    if done.returncode:
        raise BenchError(f"The load generator failed:\n{done.stderr[-3000:]}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def measure(
    requests: Requests,
    *,
    port: int,
    connections: int,
    seconds: float,
    orders: int,
    process_ids: Mapping[str, int],
) -> Measurement:
    """Load the server on `port`; a request counts as so many `orders`."""
    before = cpu_seconds(process_ids)
    report = generate_load(requests, port=port, connections=connections, seconds=seconds)
    after = cpu_seconds(process_ids)
    done = max(1, report["answered"]) * orders
    cpu = {name: (after[name] - before[name]) / done for name in process_ids}
    return Measurement(
        rate=report["rate"] * orders,
        p50=report["p50"],
        p99=report["p99"],
        cpu={**cpu, "loader": report["cpu"] / done},
        errors=report["unexpected"],
        examples=report["examples"],
    )


def median(measured: Sequence[Measurement]) -> Measurement:
    """The median over the rounds of each figure by itself; errors are added up."""
    first, middle = measured[0], statistics.median
    ratios = [one.ratio for one in measured if one.ratio is not None]
    return Measurement(
        rate=middle([one.rate for one in measured]),
        p50=middle([one.p50 for one in measured]),
        p99=middle([one.p99 for one in measured]),
        cpu={name: middle([one.cpu[name] for one in measured]) for name in first.cpu},
        ratio=middle(ratios) if ratios else None,
        statements=first.statements,
        sql=first.sql,
        errors=sum(one.errors for one in measured),
        background={
            name: middle([one.background[name] for one in measured]) for name in first.background
        },
    )
