"""The samples of a soak test, and what they show."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.table import Table

from benchmarks.monitoring import Backlog, Memory, TableState

# What one web or worker process may hold.
MAX_MEGABYTES = 150.0
_LIMITED = ("web", "worker", "payments", "notifications")
# PostgreSQL's memory is that of its caches, which fill up to their setting.
_NOT_JUDGED = ("postgres",)
_SHOWN_TABLES = 14
_MEGABYTE = 1_000_000
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
    """The straight line through the points after the warm-up (least squares).

    `slope` is in units a minute, `rise` what the line climbs over those points, `mean` their mean.
    """

    slope: float
    rise: float
    mean: float

    @property
    def grows(self) -> bool:
        """Whether it grows by `_RULE`."""
        return self.rise > _MIN_RISE and self.rise > _MIN_SHARE * self.mean


def trend_of(points: Sequence[tuple[float, float]]) -> Trend:
    """The trend of points (seconds, value) in the order of time; flat for fewer than three."""
    last = points[-1][0] if points else 0.0
    first = points[0][0] if points else 0.0
    kept = [point for point in points if point[0] >= first + (last - first) * _WARM_UP_SHARE]
    if len(kept) < 3:
        return Trend(slope=0.0, rise=0.0, mean=statistics.fmean(v for _, v in kept) if kept else 0)
    times, values = zip(*kept, strict=True)
    line = statistics.linear_regression(times, values)
    return Trend(
        slope=line.slope * 60,
        rise=line.slope * (times[-1] - times[0]),
        mean=statistics.fmean(values),
    )


@dataclass(frozen=True, kw_only=True)
class Window:
    """Some seconds of the load, and a sample at their end.

    `at` is seconds since the start, latencies are seconds since a request was due, `dead` are the
    dead rows of each table.
    """

    at: float
    answered: int
    rate: float
    p50: float
    p99: float
    errors: int
    examples: Sequence[str]
    backlog: Backlog
    memory: Mapping[str, Memory]
    dead: Mapping[str, int]

    def line(self) -> str:
        """The window in one line."""
        shop = [one.rss for name, one in self.memory.items() if name.split()[0] in _LIMITED]
        return (
            f"{self.at:>5.0f} s {self.rate:>6,.0f}/s   p50 {self.p50 * 1000:>6.1f} ms   "
            f"p99 {self.p99 * 1000:>7.1f} ms   unprocessed: {self.backlog.payments:>5,} payments "
            f"{self.backlog.events:>6,} events ({self.backlog.events_lag:.1f} s) "
            f"{self.backlog.mails:>5,} mails   largest {max(shop, default=0):.0f} MB"
            + (f"   {self.errors} bad" if self.errors else "")
        )


@dataclass(kw_only=True)
class Soak:
    """All samples; `caught_up` is the seconds that the backlog took after the last order."""

    tables_before: Mapping[str, TableState]
    windows: list[Window] = field(default_factory=list)
    tables_after: Mapping[str, TableState] = field(default_factory=dict)
    bloat: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    caught_up: float = 0.0

    def written_tables(self) -> list[str]:
        """The tables that were written to, by growth, largest first."""
        grown = {
            name: after.size + after.indexes - (before.size + before.indexes)
            for name, after in self.tables_after.items()
            if (before := self.tables_before.get(name)) is not None
            and (after.inserted, after.updated) != (before.inserted, before.updated)
        }
        return sorted(grown, key=lambda name: -grown[name])

    def failures(self) -> list[str]:
        """A sentence for each process that grows or is too large, and for unexpected answers."""
        found = []
        for name in self._processes():
            trend, largest = self._rss(name)
            if trend.grows and name not in _NOT_JUDGED:
                found.append(f"{name} grows: {trend.slope:+.2f} MB a minute.")
            if name.split()[0] in _LIMITED and largest > MAX_MEGABYTES:
                found.append(f"{name} held {largest:.0f} MB, more than {MAX_MEGABYTES:.0f}.")
        if errors := sum(window.errors for window in self.windows):
            examples = [trouble for window in self.windows for trouble in window.examples]
            found.append(f"{errors} answers were not as expected, such as {examples[:1]}")
        return found

    def memory_table(self) -> Table:
        """The memory of each process: how large, and how fast it grows."""
        table = Table(title="Memory in MB", caption=_RULE)
        for heading in ("Process", "RSS first", "last", "largest", "PSS last", "MB a minute", ""):
            table.add_column(heading, justify="right" if heading != "Process" else "left")
        for name in self._processes():
            samples = [window.memory[name] for window in self.windows if name in window.memory]
            trend, largest = self._rss(name)
            verdict = "grows" if trend.grows else "flat"
            table.add_row(
                name,
                f"{samples[0].rss:.1f}",
                f"{samples[-1].rss:.1f}",
                f"{largest:.1f}",
                f"{samples[-1].pss:.1f}",
                f"{trend.slope:+.2f}",
                "" if name in _NOT_JUDGED else verdict,
                style="bold red" if trend.grows and name not in _NOT_JUDGED else None,
            )
        return table

    def size_table(self) -> Table:
        """The tables that grew most: bytes an order, dead rows, vacuums."""
        orders = max(1, sum(window.answered for window in self.windows))
        table = Table(
            title=f"PostgreSQL: {orders:,} orders, all processed {self.caught_up:.1f} s later",
            caption="B an order: bytes of the table and its indexes; dead: most at one time; "
            "HOT: share of updates that touched no index; free: of the table, reusable",
        )
        for heading in (
            "Table",
            "MB",
            "indexes",
            "B an order",
            "rows in",
            "updates",
            "HOT",
            "dead",
            "vacuums",
            "dead %",
            "free %",
        ):
            table.add_column(heading, justify="right" if heading != "Table" else "left")
        for name in self.written_tables()[:_SHOWN_TABLES]:
            before, after = self.tables_before[name], self.tables_after[name]
            grown = after.size + after.indexes - before.size - before.indexes
            updates = after.updated - before.updated
            hot = after.updated_hot - before.updated_hot
            dead = max((window.dead.get(name, 0) for window in self.windows), default=0)
            shares = self.bloat.get(name)
            table.add_row(
                name,
                f"{after.size / _MEGABYTE:.1f}",
                f"{after.indexes / _MEGABYTE:.1f}",
                f"{grown / orders:,.0f}",
                f"{after.inserted - before.inserted:,}",
                f"{updates:,}",
                f"{hot / updates:.0%}" if updates else "",
                f"{dead:,}",
                str(after.autovacuums - before.autovacuums),
                *(["", ""] if shares is None else [f"{share:.1f}" for share in shares]),
            )
        return table

    def _processes(self) -> list[str]:
        return list(dict.fromkeys(name for window in self.windows for name in window.memory))

    def _rss(self, name: str) -> tuple[Trend, float]:
        points = [
            (window.at, window.memory[name].rss) for window in self.windows if name in window.memory
        ]
        return trend_of(points), max((rss for _, rss in points), default=0.0)
