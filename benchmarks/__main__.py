"""`python -m benchmarks`: measure the shop as it runs in production. See docs/performance.md."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from rich.console import Console

from benchmarks import pgbench
from benchmarks.processes import Checkout, Shop
from benchmarks.report import comparison_table, results_table
from benchmarks.runner import Bench, Target
from benchmarks.scenarios import SCENARIOS
from benchmarks.seeding import production_settings, seed
from benchmarks.servers import ROOT, BenchError, Servers, commit_of, run_with_servers
from benchmarks.verification import reconcile, run_concurrency_tests


def main() -> int:
    """Run the benchmark; 0 if every answer, `reconcile` and the concurrency tests were right."""
    return run_with_servers(partial(_run, _options()))


def _run(
    options: argparse.Namespace, servers: Servers, console: Console, cleanup: ExitStack
) -> int:
    environment = dict(os.environ)
    names = [scenario.name for scenario in SCENARIOS]
    requested = options.only.split(",") if options.only else names
    if unknown := set(requested) - set(names):
        raise BenchError(f"No rows {', '.join(sorted(unknown))}; there are {', '.join(names)}.")
    checkouts = [Checkout(name="here", folder=ROOT)]
    if options.against:
        checkouts.append(_other_checkout(options.against.absolute()))
    targets = []
    for number, checkout in enumerate(checkouts, start=1):
        console.print(f"Seeding a shop of {checkout.folder} ({commit_of(checkout.folder)}) …")
        settings = production_settings()
        data = seed(servers=servers, checkout=checkout, settings=settings)
        database = f"bench_{checkout.name}"
        servers.create_database(database, template=data.template)
        shop = Shop(
            checkout=checkout,
            servers=servers,
            database=database,
            redis_number=number,
            settings=settings,
            cleanup=cleanup,
        )
        targets.append(Target(shop=shop, data=data))
    pgbench.prepare_tpcb(servers)
    if {"plain", "prepared"} & set(requested):
        pgbench.prepare_placing(servers, template=targets[0].data.template)
    for target in targets:
        target.shop.start_web()
    bench = Bench(
        servers=servers,
        targets=targets,
        scenarios=[scenario for scenario in SCENARIOS if scenario.name in requested],
        seconds=options.seconds,
        console=console,
    )
    for number in range(options.rounds):
        console.print(f"Round {number + 1} of {options.rounds}", style="bold")
        bench.run_round()
    if options.profile:
        bench.profile(options.profile)
    for target in targets:
        title = f"{commit_of(target.shop.checkout.folder)} ({target.name}), medians of the rounds"
        console.print(results_table(target.results, title=title))
    for other in targets[1:]:
        console.print(comparison_table(targets[0], other))
    failures = 0
    if options.concurrency_tests:
        # Last, with the shops still running: the tests have servers of their own.
        console.print("Running the concurrency tests …")
        tests = run_concurrency_tests(environment=environment)
        output = tests.summary if tests.passed else tests.output[-4000:]
        console.print(f"Concurrency tests: {output}", markup=False)
        failures += not tests.passed
    for target in targets:
        broken = reconcile(target.shop, with_background=False)
        if errors := sum(one.errors for rounds in target.results.values() for one in rounds):
            broken.append(f"{errors} answers were not as expected.")
        failures += len(broken)
        for sentence in broken or ["reconcile finds no violations, all answers as expected."]:
            console.print(f"{target.name}: {sentence}", style="red" if broken else None)
    return 1 if failures else 0


def _other_checkout(folder: Path) -> Checkout:
    if not (folder / "manage.py").exists():
        raise BenchError(f"{folder} is no checkout: it has no manage.py.")
    own = folder / ".venv" / "bin" / "python"
    python = own if own.exists() else Path(sys.executable)
    return Checkout(name="other", folder=folder, python=python)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", help="rows by name, separated by commas")
    parser.add_argument("--rounds", type=int, default=3, help="how often to measure each row (3)")
    parser.add_argument("--seconds", type=float, default=5, help="for how long each (5)")
    parser.add_argument(
        "--against",
        type=Path,
        metavar="CHECKOUT",
        help="measure this checkout too, row by row in turns, and compare",
    )
    parser.add_argument(
        "--profile", type=Path, help="then sample the web process; graphs go to this folder"
    )
    parser.add_argument(
        "--no-concurrency-tests",
        dest="concurrency_tests",
        action="store_false",
        help="do not run oms/tests/concurrency at the end",
    )
    options = parser.parse_args()
    if not 1 <= options.seconds <= 600 or not 1 <= options.rounds <= 50:
        parser.error("--seconds is from 1 to 600, --rounds from 1 to 50")
    return options


if __name__ == "__main__":
    sys.exit(main())
