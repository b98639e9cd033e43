"""One measurement: a load on a server, and what it cost each process."""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import psutil

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
    CPU seconds for one request (order). `ratio` is `rate` divided by TPC-B's around it.
    `statements` are those that PostgreSQL runs for one request (order), `note` is for the terminal.
    """

    rate: float
    p50: float
    p99: float
    cpu: Mapping[str, float] = field(default_factory=dict)
    ratio: float = 1.0
    statements: float | None = None
    errors: int = 0
    examples: Sequence[str] = ()
    note: str = ""


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
        "requests": requests.requests,
        "status": requests.status,
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
    process_ids: Mapping[str, int],
    orders: int = 1,
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


def cpu_seconds(process_ids: Mapping[str, int]) -> dict[str, float]:
    """User and system time of each process and all its descendants, in seconds.

    A process that has ended counts with the parent that waited for it.
    """
    return {name: _tree_seconds(pid) for name, pid in process_ids.items()}


def _tree_seconds(pid: int) -> float:
    root = psutil.Process(pid)
    total = 0.0
    for process in [root, *root.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def median(measured: Sequence[Measurement]) -> Measurement:
    """The median over the rounds of each figure by itself; errors are added up."""
    first, middle = measured[0], statistics.median
    return replace(
        first,
        rate=middle(one.rate for one in measured),
        p50=middle(one.p50 for one in measured),
        p99=middle(one.p99 for one in measured),
        ratio=middle(one.ratio for one in measured),
        cpu={name: middle(one.cpu[name] for one in measured) for name in first.cpu},
        errors=sum(one.errors for one in measured),
    )
