"""`python -m oms.tests.faults`: run the experiments and print one table; see `make faults`."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path

from rich.console import Console

from oms.tests.faults.experiments import Size
from oms.tests.faults.report import as_markdown, as_table, failed
from oms.tests.faults.runner import Runner
from oms.tests.faults.table import EXPERIMENTS

_ROOT = Path(__file__).resolve().parents[3]


def main() -> int:
    """Run what the arguments say; 1 if an experiment failed."""
    parser = ArgumentParser(prog="python -m oms.tests.faults", description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="smaller counts, and no controls: minutes instead of an hour",
    )
    parser.add_argument("--project", type=Path, default=_ROOT, help="the checkout to test (this)")
    parser.add_argument("--only", default="", help="parts of experiments' names, by commas")
    parser.add_argument(
        "--no-skips", action="store_true", help="an experiment that is not possible here fails"
    )
    parser.add_argument("--shops", type=int, default=2, help="shops at the same time (2)")
    parser.add_argument("--list", action="store_true", help="list the experiments")
    parser.add_argument("--keep", action="store_true", help="keep the shops' logs and data")
    options = parser.parse_args()
    words = [word.strip().lower() for word in options.only.split(",") if word.strip()]
    chosen = [
        experiment
        for experiment in EXPERIMENTS
        if not words or any(word in experiment.name.lower() for word in words)
    ]
    if not chosen:
        parser.error(f"No experiment has a name with {options.only!r}; --list shows them.")
    # Where the output is no terminal, rich would take it for 80 columns.
    console = Console(width=None if sys.stdout.isatty() else 200)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a TextIOWrapper
    if options.list:
        for experiment in chosen:
            console.print(f"{experiment.name}: {experiment.bar}", markup=False)
        return 0
    parent = _ROOT / "var" / "faults"
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=parent))
    runner = Runner(
        project=options.project.resolve(),
        folder=folder,
        size=Size(is_quick=options.quick),
        shops=options.shops,
        console=console,
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: runner.abort())
    rows = runner.run(chosen)
    console.print(as_table(rows))
    (parent / "report.md").write_text(as_markdown(rows))
    wrong = failed(rows, may_skip=not options.no_skips)
    if not wrong and not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        console.print(f"Logs and data: {folder}", soft_wrap=True)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
