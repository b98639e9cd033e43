"""`python -m benchmarks`: measure the shop as it runs in production. See docs/performance.md."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from rich.console import Console

from benchmarks.beginning import STOCKED, begin, run
from benchmarks.concurrency import run_concurrency_suite
from benchmarks.machine import ROOT, BenchError, Shop

_SHOP = "shop"


def main() -> int:
    """Run the bench; 0 if all that was measured was also right."""
    options = _options()
    return run(partial(_run, options))


def _run(options: argparse.Namespace, console: Console, ends: ExitStack) -> int:
    """The bench itself.

    1 if an answer was not as expected, `reconcile` finds anything, or the concurrency suite fails.
    """
    beginning = begin(folder=options.var, console=console, ends=ends)
    servers, stock = beginning.servers, beginning.stock
    # What imports models can be imported only now.
    from benchmarks import pgbench
    from benchmarks.presenting import as_comparison, as_document, as_table, background_sentence
    from benchmarks.reconciling import broken_promises
    from benchmarks.rows import ROWS
    from benchmarks.running import Bench

    names = [row.name for row in ROWS]
    wanted = options.only or names
    if unknown := set(wanted) - set(names):
        raise BenchError(f"No rows: {', '.join(sorted(unknown))}. There are: {', '.join(names)}.")
    console.print("Preparing the yardsticks …")
    pgbench.prepare_tpcb(servers)
    if {"plain", "prepared"} & set(wanted):
        pgbench.prepare_plain(servers, like=STOCKED)
    servers.make_database(_SHOP, like=STOCKED)
    shop = Shop(
        servers=servers, database=_SHOP, redis_number=1, ends=ends, settings=beginning.settings
    )
    shop.start_web()
    if options.workers == "on":
        shop.start_background()
    bench = Bench(
        servers=servers,
        shop=shop,
        stock=stock,
        rows=[row for row in ROWS if row.name in wanted],
        seconds=options.seconds,
        console=console,
    )
    for number in range(options.rounds):
        console.print(f"Round {number + 1} of {options.rounds}", style="bold")
        bench.run_round()

    if options.profile:
        bench.profile(options.profile.absolute())
    console.print(as_table(bench.results))
    if sentence := background_sentence(bench.results):
        console.print(sentence)
    for name, reason in bench.skipped.items():
        console.print(f"Not measured: {name}, because {reason}.")
    # Last of all, with the shop still there: it has servers of its own and is not measured.
    if options.concurrency_suite:
        console.print("Running the concurrency suite …")
        suite = run_concurrency_suite(environment=beginning.outside)
    else:
        suite = None
    document = as_document(
        bench.results,
        seconds=options.seconds,
        rounds=options.rounds,
        concurrency_suite="not run" if suite is None else suite.summary,
    )
    if options.json:
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    if options.compare:
        console.print(as_comparison(json.loads(options.compare.read_text()), document))
    broken = broken_promises(shop, is_background_on=options.workers == "on")
    for sentence in broken:
        console.print(sentence, style="bold red", markup=False)
    if suite is None:
        console.print("Not run: the concurrency suite (--no-concurrency-suite).", style="yellow")
    elif suite.passed:
        console.print(f"The concurrency suite: {suite.summary}.", markup=False)
    else:
        console.print(f"The concurrency suite failed:\n{suite.said[-4000:]}", markup=False)
    errors = sum(one.errors for measured in bench.results.values() for one in measured)
    if errors:
        console.print(f"{errors} answers were not as expected.", style="bold red")
    if not broken:
        console.print("reconcile: all that must hold of this shop holds.")
    is_suite_bad = suite is not None and not suite.passed
    return 1 if broken or errors or is_suite_bad else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", type=_names, help="rows by name, with commas between")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (3)")
    parser.add_argument("--seconds", type=float, default=5, help="for how long each (5)")
    parser.add_argument(
        "--workers",
        choices=("on", "off"),
        default="off",
        help="whether the background runs in all rows; the row `background` has its own (off)",
    )
    parser.add_argument("--json", type=Path, help="write the results to this file")
    parser.add_argument("--compare", type=Path, help="compare with such a file")
    parser.add_argument(
        "--profile", type=Path, help="sample the web process too; graphs go to this folder"
    )
    parser.add_argument(
        "--no-concurrency-suite",
        dest="concurrency_suite",
        action="store_false",
        help="do not run oms/tests/concurrency at the end",
    )
    parser.add_argument(
        "--var", type=Path, default=ROOT / "var" / "bench", help="the bench's data (var/bench)"
    )
    options = parser.parse_args()
    if not 1 <= options.seconds <= 600 or not 1 <= options.rounds <= 50:
        parser.error("--seconds is from 1 to 600, --rounds from 1 to 50")
    return options


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


if __name__ == "__main__":
    sys.exit(main())
