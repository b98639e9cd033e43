"""`python -m benchmarks`: measure the shop as it runs in production. See docs/performance.md."""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from rich.console import Console

from benchmarks import pgbench
from benchmarks.processes import Checkout, Shop
from benchmarks.report import as_document, background_summary, comparison_table, results_table
from benchmarks.runner import Bench, Target
from benchmarks.scenarios import SCENARIOS
from benchmarks.seeding import production_settings, seed
from benchmarks.servers import ROOT, BenchError, Servers, commit_of, run_with_servers
from benchmarks.verification import reconcile, run_concurrency_tests


def main() -> int:
    """Run the benchmark; 0 if every answer, `reconcile` and the concurrency tests were right."""
    options = _options()
    return run_with_servers(options.var, partial(_run, options))


def _run(
    options: argparse.Namespace, servers: Servers, console: Console, cleanup: ExitStack
) -> int:
    outside = dict(os.environ)
    names = [scenario.name for scenario in SCENARIOS]
    requested = options.only or names
    if unknown := set(requested) - set(names):
        raise BenchError(f"No rows {', '.join(sorted(unknown))}; there are {', '.join(names)}.")
    checkouts = [Checkout(name="here", folder=ROOT, python=Path(sys.executable))]
    if options.against:
        checkouts.append(_other_checkout(options))
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
        if options.workers == "on":
            target.shop.start_background()
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
        bench.profile(options.profile.absolute())
    return _report(options, targets, console, outside=outside)


def _report(
    options: argparse.Namespace,
    targets: list[Target],
    console: Console,
    *,
    outside: dict[str, str],
) -> int:
    here, failures = targets[0], 0
    for target in targets:
        title = f"{commit_of(target.shop.checkout.folder)} ({target.name}), medians of the rounds"
        console.print(results_table(target.results, title=title))
        if summary := background_summary(target.results):
            console.print(summary)
    for other in targets[1:]:
        console.print(comparison_table(here, other))
    if options.concurrency_tests:
        # Last, with the shops still running: the tests have servers of their own.
        console.print("Running the concurrency tests …")
        tests = run_concurrency_tests(environment=outside)
        concurrency = tests.summary
        output = tests.summary if tests.passed else tests.output[-4000:]
        console.print(f"Concurrency tests: {output}", markup=False)
        failures += not tests.passed
    else:
        concurrency = "not run"
    if options.json:
        document = as_document(
            targets,
            commits={target.name: commit_of(target.shop.checkout.folder) for target in targets},
            seconds=options.seconds,
            rounds=options.rounds,
            concurrency_tests=concurrency,
        )
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    for target in targets:
        broken = reconcile(target.shop, with_background=options.workers == "on")
        errors = sum(one.errors for rounds in target.results.values() for one in rounds)
        if errors:
            broken.append(f"{errors} answers were not as expected.")
        failures += len(broken)
        for sentence in broken or ["reconcile finds no violations, all answers as expected."]:
            console.print(f"{target.name}: {sentence}", style="red" if broken else None)
    return 1 if failures else 0


def _other_checkout(options: argparse.Namespace) -> Checkout:
    folder: Path = options.against.absolute()
    own = folder / ".venv" / "bin" / "python"
    python = options.against_python or (own if own.exists() else Path(sys.executable))
    if not (folder / "manage.py").exists():
        raise BenchError(f"{folder} is no checkout: it has no manage.py.")
    return Checkout(name="other", folder=folder, python=python.absolute())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", type=_names, help="rows by name, separated by commas")
    parser.add_argument("--rounds", type=int, default=3, help="how often to measure each row (3)")
    parser.add_argument("--seconds", type=float, default=5, help="for how long each (5)")
    parser.add_argument(
        "--against",
        type=Path,
        metavar="CHECKOUT",
        help="measure this checkout too, row by row in turns, and compare",
    )
    parser.add_argument(
        "--against-python",
        type=Path,
        metavar="PYTHON",
        help="its interpreter (CHECKOUT/.venv/bin/python, else the one that runs this)",
    )
    parser.add_argument(
        "--workers",
        choices=("on", "off"),
        default="off",
        help="whether workers run in all rows; the row `background` has its own (off)",
    )
    parser.add_argument("--json", type=Path, help="write the results to this file")
    parser.add_argument(
        "--profile", type=Path, help="then sample the web process; graphs go to this folder"
    )
    parser.add_argument(
        "--no-concurrency-tests",
        dest="concurrency_tests",
        action="store_false",
        help="do not run oms/tests/concurrency at the end",
    )
    parser.add_argument(
        "--var", type=Path, default=ROOT / "var" / "bench", help="data of the servers (var/bench)"
    )
    options = parser.parse_args()
    if not 1 <= options.seconds <= 600 or not 1 <= options.rounds <= 50:
        parser.error("--seconds is from 1 to 600, --rounds from 1 to 50")
    return options


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


if __name__ == "__main__":
    sys.exit(main())
