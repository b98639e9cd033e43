"""Where the web process spends its time under load: py-spy's samples, by package and as a graph.

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
_SHOWN = 20


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


def time_by_package(stacks: Path, *, title: str) -> Table:
    """The shares of packages, and of the lines that took most, from py-spy's raw file."""
    packages: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    for line in stacks.read_text().splitlines():
        stack, _, number = line.rpartition(" ")
        frames = stack.split(";")
        packages[_package(frames)] += int(number)
        lines[frames[-1]] += int(number)
    total = max(1, packages.total())
    table = Table(title=f"Python's time in the web process: {title} ({total:,} samples)")
    table.add_column("Package, then lines")
    table.add_column("share", justify="right")
    for counted in (packages, lines):
        for name, count in counted.most_common(_SHOWN):
            table.add_row(name, f"{count / total:.1%}")
        table.add_section()
    return table


def _package(frames: list[str]) -> str:
    """The package of the innermost frame outside the standard library, such as "oms/fastpath"."""
    for frame in reversed(frames):
        parts = frame.rpartition("(")[2].split("/")[:-1]
        if parts and parts[0] not in sys.stdlib_module_names:
            return "/".join(parts[:2])
    return "other"
