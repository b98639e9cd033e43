"""CPU time of whole process trees, with nothing lost of those that have ended in between."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import psutil


def seconds_of_tree(pid: int) -> float:
    """User and system time of the process and of all that it ever started, in seconds.

    A process that has ended counts with whoever waited for it, as the backends of PostgreSQL do
    with the postmaster.
    """
    root = psutil.Process(pid)
    total = 0.0
    for process in [root, *root.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def seconds_of(trees: Mapping[str, int]) -> dict[str, float]:
    """The CPU seconds of each of the trees, named by what they are for."""
    return {name: seconds_of_tree(pid) for name, pid in trees.items()}
