"""`python -m benchmarks.soak`: a steady load for minutes, and what grows under it.

The shop runs as in production with all its workers. First it is loaded as fast as it goes for some
seconds, and given the time to work everything off: so many orders a second it can bring to their
end. A share of that is then placed for as long as is asked for, while memory, tables and what waits
are looked at every ten seconds. See docs/performance.md.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from rich.console import Console

from benchmarks.beginning import begin, run
from benchmarks.machine import ROOT


def main() -> int:
    """Run the soak; 0 if nothing grows and nothing is broken."""
    options = _options()
    return run(partial(_run, options))


def _run(options: argparse.Namespace, console: Console, ends: ExitStack) -> int:
    beginning = begin(folder=options.var, console=console, ends=ends)
    # What imports models can be imported only now.
    from benchmarks.steady import soak_shop

    return soak_shop(beginning, options=options, console=console, ends=ends)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=600, help="for how long (600)")
    parser.add_argument("--rate", type=float, help="orders a second, in place of a share")
    parser.add_argument(
        "--share", type=float, default=0.6, help="of what the shop can bring to its end (0.6)"
    )
    parser.add_argument("--json", type=Path, help="write everything that was seen to this file")
    parser.add_argument(
        "--var", type=Path, default=ROOT / "var" / "bench", help="the bench's data (var/bench)"
    )
    options = parser.parse_args()
    if not 30 <= options.seconds <= 86_400:
        parser.error("--seconds is from 30 to 86400")
    if not 0 < options.share <= 1 or (options.rate is not None and options.rate <= 0):
        parser.error("--share is above 0 and at most 1, --rate above 0")
    return options


if __name__ == "__main__":
    sys.exit(main())
