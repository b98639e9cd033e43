"""`python -m oms.tests.faults`: run the experiments and print one table; see `make faults`."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from argparse import ArgumentParser
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from rich.console import Console

from oms.tests.faults.experiments import Experiment, NotPossible, Outcome, Size
from oms.tests.faults.report import Row, as_markdown, as_table
from oms.tests.faults.shop import Shop
from oms.tests.faults.table import EXPERIMENTS

_ROOT = Path(__file__).resolve().parents[3]


def main() -> int:
    """Run what the arguments say; 1 if an experiment failed."""
    parser = ArgumentParser(prog="python -m oms.tests.faults", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="minutes instead of an hour")
    parser.add_argument("--project", type=Path, default=_ROOT, help="the checkout to test (this)")
    parser.add_argument("--only", default="", help="words of the experiments' names, by commas")
    parser.add_argument("--list", action="store_true", help="list the experiments")
    parser.add_argument("--keep", action="store_true", help="keep the shops' logs and data")
    options = parser.parse_args()
    words = [word.strip().lower() for word in options.only.split(",") if word.strip()]
    chosen = [
        experiment
        for experiment in EXPERIMENTS
        if not words or any(word in experiment.name.lower() for word in words)
    ]
    size = Size(is_quick=options.quick)
    console = Console()
    if options.list:
        for experiment in chosen:
            console.print(f"{experiment.name}: {experiment.bar}", markup=False)
        return 0
    rows: list[Row] = []
    parent = _ROOT / "var" / "faults"
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=parent))
    for number, (environment, group) in enumerate(groupby(chosen, key=lambda e: e.environment)):
        shop = Shop(
            project=options.project.resolve(),
            folder=folder / str(number),
            environment=dict(environment),
        )
        ran = [
            _run(experiment, shop, Size(is_quick=options.quick), console) for experiment in group
        ]
        # Controls last: they damage the shop on purpose.
        rows += [_control(row, shop, size, console) for row in ran]
        if shop.is_running():
            shop.stop()
    console.print(as_table(rows))
    (parent / "report.md").write_text(as_markdown(rows))
    failed = any(row.result == "FAIL" for row in rows)
    if not failed and not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        console.print(f"Logs and data: {folder}", soft_wrap=True)
    return int(failed)


def _run(experiment: Experiment, shop: Shop, size: Size, console: Console) -> Row:
    console.print(f"[bold]{experiment.name}[/] …")
    began = time.monotonic()
    outcome: Outcome | None = None
    reason = ""
    try:
        if not shop.is_running():
            shop.start()
        outcome = experiment.run(shop, size)
    except NotPossible as error:
        reason = str(error)
    except Exception as error:  # one experiment must not keep the others from running
        console.print_exception()
        outcome = Outcome(violations=[f"{type(error).__name__}: {error}"])
    for violation in outcome.violations[:20] if outcome else ():
        console.print(f"  {violation}", style="red", markup=False)
    row = Row(
        experiment=experiment, outcome=outcome, reason=reason, seconds=time.monotonic() - began
    )
    console.print(f"  {row.result} after {row.seconds:.0f} s", highlight=False)
    return row


def _control(row: Row, shop: Shop, size: Size, console: Console) -> Row:
    """The row with its control, which must find violations; only of what passed without it."""
    control = row.experiment.control
    if control is None or row.result != "pass":
        return row
    console.print(f"[bold]{row.experiment.name}[/], without its protection …")
    began = time.monotonic()
    try:
        if not shop.is_running():
            shop.start()
        found = control(shop, size)
    except Exception:  # which proves nothing, so the experiment fails
        console.print_exception()
        found = Outcome()
    for violation in found.violations[:3]:
        console.print(f"  found: {violation}", style="dim", markup=False)
    row = replace(row, control=found, seconds=row.seconds + time.monotonic() - began)
    console.print(f"  {row.result}: {row.control_result}", highlight=False)
    return row


if __name__ == "__main__":
    sys.exit(main())
