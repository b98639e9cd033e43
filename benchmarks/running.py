"""The rounds of a bench: every row beside the TPC-B of its minute."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
from rich.console import Console

from benchmarks import calls, pgbench
from benchmarks.background import measure_with_background
from benchmarks.calls import Calls
from benchmarks.machine import Servers, Shop, start_trivial_endpoint
from benchmarks.measuring import Measured, load, measure
from benchmarks.profiling import by_layer, profiled
from benchmarks.rows import Row
from benchmarks.statements import counted
from benchmarks.stocking import Stock

# After so many rows TPC-B is measured again, because the speed of a machine changes.
_ROWS_BETWEEN = 5
_COUNTING_SECONDS = 1.0
TPCB = "tpcb"


@dataclass(kw_only=True)
class Bench:
    """A run on a stocked shop whose web process serves.

    `results` maps the names of rows to what was measured, round by round; `skipped` says why a row
    was not.
    """

    servers: Servers
    shop: Shop
    stock: Stock
    rows: Sequence[Row]
    seconds: float
    console: Console
    results: dict[str, list[Measured]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def run_round(self) -> None:
        """Measure every row once."""
        before = self._measure_tpcb()
        for rows in _in_groups(self.rows):
            group = [(row, self._measure(row)) for row in rows if row.name not in self.skipped]
            after = self._measure_tpcb()
            beside = (before.rate + after.rate) / 2
            for row, measured in group:
                if measured is not None:
                    result = replace(measured, ratio=measured.rate / beside)
                    self.results.setdefault(row.name, []).append(result)
            before = after

    def _measure_tpcb(self) -> Measured:
        measured = _of_yardstick(pgbench.tpcb(self.servers, seconds=self.seconds))
        measured.ratio = 1.0
        self.results.setdefault(TPCB, []).append(measured)
        self._say("TPC-B", measured)
        return measured

    def _measure(self, row: Row) -> Measured | None:
        if row.name in ("plain", "prepared"):
            mode = "simple" if row.name == "plain" else row.name
            yardstick = pgbench.plain_placing(self.servers, seconds=self.seconds, mode=mode)
            measured = _of_yardstick(yardstick)
        elif row.name == "background":
            measured = measure_with_background(
                self.servers, self.shop, self.stock, seconds=self.seconds
            )
        elif row.calls is None:
            raise AssertionError(f"{row.name} has nothing to send")
        elif row.is_trivial:
            measured = self._measure_trivial(row, row.calls(self.stock))
        else:
            made = self._calls_of(row)
            if made is None:
                return None
            measured = self._measure_http(row, made)
        self._say(f"{row.title} ({row.connections})", measured)
        return measured

    def _measure_http(self, row: Row, made: Calls) -> Measured:
        measured = measure(
            made,
            port=self.shop.port,
            connections=row.connections,
            seconds=self.seconds,
            orders=row.orders,
            trees={**self.shop.trees(), **self.servers.trees()},
        )
        if row.name not in self.results:
            with counted(self.servers, self.shop.database) as count:
                report = load(
                    made,
                    port=self.shop.port,
                    connections=row.connections,
                    seconds=_COUNTING_SECONDS,
                    warm_up=0,
                )
            done = max(1, report["answered"] * row.orders)
            measured.statements = count.total / done
            measured.sql = {text: number / done for text, number in count.statements.items()}
            measured.errors += report["unexpected"]
        return measured

    def profile(self, folder: Path) -> None:
        """Sample the web process under the load of each row; graphs and stacks go to `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        for row in self.rows:
            made = self._calls_of(row) if row.calls and not row.is_trivial else None
            if made is None:
                continue
            stacks = folder / f"{row.name}.txt"
            for file in (folder / f"{row.name}.svg", stacks):
                with profiled(
                    self.shop.trees()["web"],
                    file=file,
                    seconds=self.seconds,
                    as_graph=file != stacks,
                ):
                    load(
                        made,
                        port=self.shop.port,
                        connections=row.connections,
                        seconds=self.seconds,
                    )
            self.console.print(by_layer(stacks, title=f"{row.title} ({row.connections})"))

    def _measure_trivial(self, row: Row, made: Calls) -> Measured:
        with ExitStack() as ends:
            port, pid = start_trivial_endpoint(servers=self.servers, ends=ends)
            return measure(
                made,
                port=port,
                connections=row.connections,
                seconds=self.seconds,
                orders=row.orders,
                trees={"web": pid},
            )

    def _calls_of(self, row: Row) -> Calls | None:
        assert row.calls is not None
        if not row.needs_etag_of:
            return row.calls(self.stock)
        etag = _etag(f"http://127.0.0.1:{self.shop.port}{row.needs_etag_of}")
        if etag is None:
            self.skipped[row.name] = f"{row.needs_etag_of} has no ETag"
            return None
        return calls.product_list_unchanged(self.stock, etag)

    def _say(self, title: str, measured: Measured) -> None:
        self.console.print(
            f"{title:<52} {measured.rate:>9,.0f}/s   p50 {measured.p50 * 1000:>7.1f} ms   "
            f"p99 {measured.p99 * 1000:>7.1f} ms",
            style="dim" if title == "TPC-B" else None,
        )
        for trouble in measured.troubles:
            self.console.print(trouble, style="bold red", markup=False)


def median(measured: Sequence[Measured]) -> Measured:
    """The median of each figure over the rounds, each by itself; errors are added up."""
    first = measured[0]

    def middle(values: list[float]) -> float:
        return statistics.median(values)

    ratios = [one.ratio for one in measured if one.ratio is not None]
    statements = [one.statements for one in measured if one.statements is not None]
    return Measured(
        rate=middle([one.rate for one in measured]),
        p50=middle([one.p50 for one in measured]),
        p99=middle([one.p99 for one in measured]),
        cpu={name: middle([one.cpu[name] for one in measured]) for name in first.cpu},
        ratio=middle(ratios) if ratios else None,
        statements=middle(statements) if statements else None,
        sql=first.sql,
        errors=sum(one.errors for one in measured),
        notes={name: middle([one.notes[name] for one in measured]) for name in first.notes},
    )


def _of_yardstick(yardstick: pgbench.Yardstick) -> Measured:
    return Measured(
        rate=yardstick.rate, p50=yardstick.p50, p99=yardstick.p99, errors=yardstick.failed
    )


def _in_groups(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    for start in range(0, len(rows), _ROWS_BETWEEN):
        yield rows[start : start + _ROWS_BETWEEN]


def _etag(url: str) -> str | None:
    etag: str | None = httpx.get(url, timeout=10).raise_for_status().headers.get("ETag")
    return etag
