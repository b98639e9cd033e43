"""What a soak saw, window by window, and what is to be said of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.table import Table

from benchmarks.trends import RULE, Trend, trend_of
from benchmarks.watching import Backlog, Memory, TableState

# MB that one process of the web and of the workers may hold at most.
LARGEST = 150.0
_LIMITED = ("web", "worker", "payments", "notifications")
# PostgreSQL's memory is that of its caches, which fill up to their setting.
_NOT_JUDGED = ("postgres",)
_SHOWN_TABLES = 14
_MEGABYTE = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Window:
    """Some seconds of the load, and how things stood at their end.

    `at` is seconds since the beginning, latencies are seconds from when a request was due, `dead`
    are the dead rows of each table.
    """

    at: float
    answered: int
    rate: float
    p50: float
    p99: float
    errors: int
    troubles: Sequence[str]
    backlog: Backlog
    memory: Mapping[str, Memory]
    dead: Mapping[str, int]

    def line(self) -> str:
        """The window in one line."""
        shop = [one.rss for name, one in self.memory.items() if name.split()[0] in _LIMITED]
        return (
            f"{self.at:>5.0f} s {self.rate:>6,.0f}/s   p50 {self.p50 * 1000:>6.1f} ms   "
            f"p99 {self.p99 * 1000:>7.1f} ms   waiting: {self.backlog.payments:>5,} payments "
            f"{self.backlog.events:>6,} events ({self.backlog.events_lag:.1f} s) "
            f"{self.backlog.mails:>5,} mails   largest {max(shop, default=0):.0f} MB"
            + (f"   {self.errors} bad" if self.errors else "")
        )


@dataclass(kw_only=True)
class Soak:
    """The whole of it; `worked_off` is how many seconds the backlog took after the last order."""

    tables_before: Mapping[str, TableState]
    windows: list[Window] = field(default_factory=list)
    tables_after: Mapping[str, TableState] = field(default_factory=dict)
    bloat: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    worked_off: float = 0.0

    def written_tables(self) -> list[str]:
        """The tables that were written to, the one that grew most first."""
        grown = {
            name: after.size + after.indexes - (before.size + before.indexes)
            for name, after in self.tables_after.items()
            if (before := self.tables_before.get(name)) is not None
            and (after.inserted, after.updated) != (before.inserted, before.updated)
        }
        return sorted(grown, key=lambda name: -grown[name])

    def complaints(self) -> list[str]:
        """Sentences about what should not be; empty if all is well but for the promises."""
        found = []
        for name in self._processes():
            trend, largest = self._rss(name)
            if trend.grows and name not in _NOT_JUDGED:
                found.append(f"{name} grows: {trend.slope:+.2f} MB a minute.")
            if name.split()[0] in _LIMITED and largest > LARGEST:
                found.append(f"{name} held {largest:.0f} MB, more than {LARGEST:.0f}.")
        if errors := sum(window.errors for window in self.windows):
            examples = [trouble for window in self.windows for trouble in window.troubles]
            found.append(f"{errors} answers were not as expected, such as {examples[:1]}")
        return found

    def memory_table(self) -> Table:
        """The memory of each process: how large, and how fast it grows."""
        table = Table(title="Memory in MB", caption=RULE)
        for heading in ("Process", "RSS first", "last", "largest", "PSS last", "MB a minute", ""):
            table.add_column(heading, justify="right" if heading != "Process" else "left")
        for name in self._processes():
            seen = [window.memory[name] for window in self.windows if name in window.memory]
            trend, largest = self._rss(name)
            verdict = "grows" if trend.grows else "flat"
            table.add_row(
                name,
                f"{seen[0].rss:.1f}",
                f"{seen[-1].rss:.1f}",
                f"{largest:.1f}",
                f"{seen[-1].pss:.1f}",
                f"{trend.slope:+.2f}",
                "" if name in _NOT_JUDGED else verdict,
                style="bold red" if trend.grows and name not in _NOT_JUDGED else None,
            )
        return table

    def table_of_tables(self) -> Table:
        """The tables that grew most: how much an order takes, what is dead, what was vacuumed."""
        orders = max(1, sum(window.answered for window in self.windows))
        table = Table(
            title=f"PostgreSQL over {orders:,} orders, worked off after {self.worked_off:.1f} s",
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
