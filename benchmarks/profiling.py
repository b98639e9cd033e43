"""Where the web process spends its time under load: py-spy's samples, by layer and as a graph.

Only threads that hold the GIL are sampled: Python code and what it calls, no waiting, and none of
the server's own threads. Sampling slows the process, so it runs after the measurements.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.table import Table

from benchmarks.servers import BenchError

_RATE = 200
_SHOWN_LINES = 15
# The layer of a sample is that of its innermost frame whose path contains one of these; frames of
# the standard library count as their callers'.
_LAYERS = (
    ("psycopg", "driver (psycopg)"),
    ("django_prometheus/db", "metrics"),
    ("django_prometheus", "metrics"),
    ("prometheus_client", "metrics"),
    ("django/db", "Django's ORM and transactions"),
    ("django/", "Django's requests and middleware"),
    ("rest_framework_simplejwt", "tokens"),
    ("jwt/", "tokens"),
    ("rest_framework", "REST framework"),
    ("limits/", "limits and cache (redis-py)"),
    ("redis/", "limits and cache (redis-py)"),
    ("celery/", "messages (Celery)"),
    ("kombu/", "messages (Celery)"),
    ("amqp/", "messages (Celery)"),
    ("structlog", "logs"),
    ("logging/", "logs"),
    ("granian", "server (granian)"),
    ("oms/fastpath", "oms.fastpath"),
    ("oms/http", "oms.http"),
    ("oms/api", "oms.api"),
    ("oms/users", "oms.users"),
    ("oms/events", "oms.events"),
    ("oms/queue", "oms.queue"),
    ("oms/db", "oms.db"),
    ("oms/core", "oms.core"),
    ("inventory/", "inventory"),
    ("payments/", "payments"),
    ("orders/", "orders"),
)
_OTHER = "other"


@contextmanager
def profiled(pid: int, *, file: Path, seconds: float) -> Iterator[None]:
    """Sample process `pid` and its children while the block loads it.

    An SVG `file` gets a flame graph, any other the stacks with their numbers of samples, one a
    line. Raises BenchError if py-spy is missing or lacks the permission.
    """
    found = shutil.which("py-spy", path=str(Path(sys.executable).parent))
    if found is None:
        raise BenchError("py-spy is not installed: it comes with requirements-dev.txt.")
    spy = subprocess.Popen(
        [
            *(found, "record", "--pid", str(pid), "--subprocesses", "--gil", "--rate", str(_RATE)),
            *("--duration", str(round(seconds)), "--output", str(file)),
            *("--format", "flamegraph" if file.suffix == ".svg" else "raw"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield
    finally:
        _, errors = spy.communicate(timeout=120)
    if spy.returncode:
        raise BenchError(f"py-spy could not sample the web process:\n{errors[-2000:]}")


def time_by_layer(stacks: Path, *, title: str) -> Table:
    """The shares of the layers, and of the lines of code that took most, from py-spy's raw file."""
    layers: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    for line in stacks.read_text().splitlines():
        stack, _, number = line.rpartition(" ")
        frames = stack.split(";")
        layers[_layer(frames)] += int(number)
        lines[frames[-1]] += int(number)
    total = max(1, sum(layers.values()))
    table = Table(title=f"Python's time in the web process: {title} ({total:,} samples)")
    table.add_column("Layer, then lines")
    table.add_column("share", justify="right")
    for layer, count in layers.most_common():
        table.add_row(layer, f"{count / total:.1%}")
    table.add_section()
    for name, count in lines.most_common(_SHOWN_LINES):
        table.add_row(name, f"{count / total:.1%}")
    return table


def _layer(frames: list[str]) -> str:
    for frame in reversed(frames):
        path = frame.rpartition("(")[2]
        for part, layer in _LAYERS:
            if part in path:
                return layer
    return _OTHER
