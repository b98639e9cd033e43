"""Results as tables."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence

from rich.table import Table

from benchmarks.measurement import Measurement, median
from benchmarks.runner import TPCB, Target
from benchmarks.scenarios import SCENARIOS

Results = Mapping[str, Sequence[Measurement]]

# Processes whose CPU time is shown, with their column's heading.
_CPU = {"web": "web", "postgres": "PG", "valkey": "Valkey", "loader": "loader"}
_TITLES = {
    TPCB: ("pgbench TPC-B, scale 20", 16),
    **{scenario.name: (scenario.title, scenario.connections) for scenario in SCENARIOS},
}


def results_table(results: Results, *, title: str) -> Table:
    """The medians of the rounds."""
    table = _table(
        ("What", "n", "per s", "ratio", "p50", "p99", *_CPU.values(), "SQL", "bad"),
        title=title,
        caption="n: connections; ratio: rate to TPC-B's; p50, p99: ms; web, PG, Valkey, loader: CPU"
        " ms a request (order of a bulk); SQL: statements a request",
    )
    for name, (what, connections) in _TITLES.items():
        if name not in results:
            continue
        one = median(results[name])
        table.add_row(
            what,
            str(connections),
            f"{one.rate:,.0f}",
            f"{one.ratio:.2f}",
            f"{one.p50 * 1000:.1f}",
            f"{one.p99 * 1000:.1f}",
            *(f"{one.cpu[process] * 1000:.3f}" if process in one.cpu else "" for process in _CPU),
            "" if one.statements is None else f"{one.statements:.2f}",
            str(one.errors),
            style="bold red" if one.errors else None,
        )
    return table


def comparison_table(here: Target, other: Target) -> Table:
    """Both checkouts side by side; "×" is the median over the rounds of here / other."""
    table = _table(
        (
            "What",
            "n",
            *("per s", "other", "×"),
            *("p50", "other", "p99", "other"),
            *("web", "other", "×"),
            *("PG", "other", "×"),
        ),
        title=f"{here.name} against {other.name}, measured in turns; medians of the rounds",
        caption="×: median of the rounds' ratios, above 1 is faster for rates and more for CPU;"
        " p50, p99: ms; web, PG: CPU ms a request (order of a bulk)",
    )
    for name, (what, connections) in _TITLES.items():
        mine, theirs = here.results.get(name), other.results.get(name)
        if not mine or not theirs:
            continue
        both = median(mine), median(theirs)
        table.add_row(
            what,
            str(connections),
            *(f"{one.rate:,.0f}" for one in both),
            _ratio([one.rate for one in mine], [one.rate for one in theirs]),
            *(f"{one.p50 * 1000:.1f}" for one in both),
            *(f"{one.p99 * 1000:.1f}" for one in both),
            *_cpu_cells("web", mine, theirs),
            *_cpu_cells("postgres", mine, theirs),
            style="bold red" if any(one.errors for one in both) else None,
        )
    return table


def _cpu_cells(
    process: str, mine: Sequence[Measurement], theirs: Sequence[Measurement]
) -> Iterator[str]:
    for rounds in (mine, theirs):
        yield f"{median(rounds).cpu[process] * 1000:.3f}"
    yield _ratio([one.cpu[process] for one in mine], [one.cpu[process] for one in theirs])


def _ratio(mine: Sequence[float], theirs: Sequence[float]) -> str:
    """The median of the rounds' ratios."""
    ratios = [one / two for one, two in zip(mine, theirs, strict=True) if two]
    return f"{statistics.median(ratios):.2f}" if ratios else ""


def _table(headings: Sequence[str], *, title: str, caption: str) -> Table:
    table = Table(title=title, caption=caption)
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "What" else "right", no_wrap=True)
    return table
