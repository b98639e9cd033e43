"""The samples of a soak test, and what they show."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table

from benchmarks.monitoring import Backlog, TableState

# What one web or worker process may hold.
MAX_MEGABYTES = 150.0
_LIMITED = ("web", "worker", "payments", "notifications")
_SHOWN_TABLES = 14
# While caches fill and code is first used, growth means nothing.
_WARM_UP_SHARE = 1 / 3
# A rise counts above so many MB and that share of the mean.
_MIN_RISE = 3.0
_MIN_SHARE = 0.03

_RULE = (
    f"grows: in the last {1 - _WARM_UP_SHARE:.0%} of the time the fitted line rises by more than "
    f"{_MIN_RISE:.0f} MB and {_MIN_SHARE:.0%}"
)


@dataclass(frozen=True, kw_only=True)
class Trend:
    """The straight line through points after the warm-up (least squares).

    `slope` is in units a minute, `rise` what the line climbs; `grows` follows `_RULE`.
    """

    slope: float = 0.0
    rise: float = 0.0
    grows: bool = False


def trend_of(points: Sequence[tuple[float, float]]) -> Trend:
    """The trend of points (seconds, value) in the order of time; flat for fewer than three."""
    kept = [point for point in points if point[0] >= points[-1][0] * _WARM_UP_SHARE]
    if len(kept) < 3:
        return Trend()
    times, values = zip(*kept, strict=True)
    slope = statistics.linear_regression(times, values).slope
    rise = slope * (times[-1] - times[0])
    grows = rise > _MIN_RISE and rise > _MIN_SHARE * statistics.fmean(values)
    return Trend(slope=slope * 60, rise=rise, grows=grows)


@dataclass(frozen=True, kw_only=True)
class Window:
    """Some seconds of the load, and a sample at their end.

    `at` is seconds since the start, `load` the report of the load generator, `memory` the MB of
    each process, `dead` the dead rows of each table.
    """

    at: float
    load: Mapping[str, Any]
    backlog: Backlog
    memory: Mapping[str, float]
    dead: Mapping[str, int]

    def line(self) -> str:
        """The window in one line."""
        load = self.load
        largest = max(size for name, size in self.memory.items() if name.split()[0] in _LIMITED)
        return (
            f"{self.at:>5.0f} s {load['rate']:>6,.0f}/s   p50 {load['p50'] * 1000:>6.1f} ms   "
            f"p99 {load['p99'] * 1000:>7.1f} ms   {self.backlog}   largest {largest:.0f} MB"
            + (f"   {load['unexpected']} bad" if load["unexpected"] else "")
        )


@dataclass(kw_only=True)
class Soak:
    """All samples; `caught_up` is the seconds that the backlog took after the last order."""

    tables_before: Mapping[str, TableState]
    windows: list[Window] = field(default_factory=list)
    tables_after: Mapping[str, TableState] = field(default_factory=dict)
    caught_up: float = 0.0

    def failures(self) -> list[str]:
        """A sentence for each process that grows or is too large, and for unexpected answers."""
        found = []
        for name, sizes in self._memory().items():
            trend, largest = trend_of(sizes), max(size for _, size in sizes)
            if trend.grows:
                found.append(f"{name} grows: {trend.slope:+.2f} MB a minute.")
            if name.split()[0] in _LIMITED and largest > MAX_MEGABYTES:
                found.append(f"{name} held {largest:.0f} MB, more than {MAX_MEGABYTES:.0f}.")
        if errors := sum(window.load["unexpected"] for window in self.windows):
            examples = [example for window in self.windows for example in window.load["examples"]]
            found.append(f"{errors} answers were not as expected, such as {examples[:1]}")
        return found

    def memory_table(self) -> Table:
        """The memory of each process: how large, and how fast it grows."""
        table = Table(title="Memory in MB", caption=_RULE)
        for heading in ("Process", "first", "last", "largest", "MB a minute", ""):
            table.add_column(heading, justify="right" if heading != "Process" else "left")
        for name, sizes in self._memory().items():
            values = [size for _, size in sizes]
            trend = trend_of(sizes)
            table.add_row(
                name,
                *(f"{size:.1f}" for size in (values[0], values[-1], max(values))),
                f"{trend.slope:+.2f}",
                "grows" if trend.grows else "flat",
            )
        return table

    def size_table(self) -> Table:
        """The tables that grew most: bytes an order, updates, dead rows."""
        orders = max(1, sum(window.load["answered"] for window in self.windows))
        table = Table(
            title=f"PostgreSQL: {orders:,} orders, all processed {self.caught_up:.1f} s later",
            caption="B an order: bytes of the table and its indexes; dead: most at one time; "
            "HOT: share of updates that touched no index",
        )
        for heading in ("Table", "MB", "B an order", "rows in", "updates", "HOT", "dead"):
            table.add_column(heading, justify="right" if heading != "Table" else "left")
        written = [
            (before, after)
            for name, after in self.tables_after.items()
            if (before := self.tables_before[name]).inserted + before.updated
            != after.inserted + after.updated
        ]
        written.sort(key=lambda states: states[0].size - states[1].size)
        for before, after in written[:_SHOWN_TABLES]:
            updates = after.updated - before.updated
            table.add_row(
                after.name,
                f"{after.size / 1_000_000:.1f}",
                f"{(after.size - before.size) / orders:,.0f}",
                f"{after.inserted - before.inserted:,}",
                f"{updates:,}",
                f"{(after.updated_hot - before.updated_hot) / updates:.0%}" if updates else "",
                f"{max(window.dead[after.name] for window in self.windows):,}",
            )
        return table

    def _memory(self) -> dict[str, list[tuple[float, float]]]:
        """The points (seconds, MB) of each process."""
        points: dict[str, list[tuple[float, float]]] = {}
        for window in self.windows:
            for name, size in window.memory.items():
                points.setdefault(name, []).append((window.at, size))
        return points
