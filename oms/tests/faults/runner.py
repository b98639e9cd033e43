"""Runs experiments, each in a shop with the environment that it needs."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from oms.tests.faults.checks import backlog, reconcile
from oms.tests.faults.experiments import Experiment, NotPossible, Outcome, Size
from oms.tests.faults.report import Row
from oms.tests.faults.shop import Shop

_SHOWN = 20
# Experiments of a shop.
_MOST = 9
_SHOWN_OF_CONTROLS = 3


@dataclass(kw_only=True)
class Runner:
    """Runs experiments on the checkout `project`, in up to `shops` shops at the same time."""

    project: Path
    folder: Path
    size: Size
    shops: int
    console: Console
    _quiet: Quiet = field(default_factory=lambda: Quiet())
    _open: list[Shop] = field(default_factory=list)
    _seeding: threading.Lock = field(default_factory=threading.Lock)
    _stopping: ThreadPoolExecutor = field(default_factory=ThreadPoolExecutor)

    def run(self, experiments: Sequence[Experiment]) -> list[Row]:
        """One row for each experiment, in their order."""
        rows: dict[str, Row] = {}
        with self._stopping, ThreadPoolExecutor(self.shops) as threads:
            for found in threads.map(self._run_group, _by_environment(experiments)):
                rows |= found
            # Controls in shops of their own, of what passed.
            weakened = [
                each
                for each in experiments
                if each.control_environment and self._wants_control(rows[each.name])
            ]
            groups = _by_environment(weakened, of_controls=True)
            for found in threads.map(partial(self._run_controls, rows=rows), groups):
                rows = rows | found
        return [rows[experiment.name] for experiment in experiments]

    def abort(self) -> NoReturn:
        """End all shops and this process."""
        for shop in self._open:
            for process in shop.beside:
                process.terminate()
            if shop.is_running():
                shop.signal_supervisor(signal.SIGINT)
        os._exit(130)  # without waiting for the threads, which wait for their shops

    def _run_group(self, group: Group) -> dict[str, Row]:
        """Run the experiments of one environment, and the controls that need no other."""
        with self._shop(group.environment) as shop:
            last = group.experiments[-1]
            rows: dict[str, Row] = {}
            for each in group.experiments:
                # At the small size the books are compared once, for all that was done in the shop.
                compares_books = each is last or not self.size.is_quick
                row = self._run_one(each, shop, compares_books=compares_books)
                if self.size.is_quick and row.is_slow:
                    # A short measurement on a busy machine proves nothing: once more.
                    row = self._run_one(each, shop, compares_books=compares_books).after(row)
                rows[each.name] = row
            # Controls last: they damage the shop on purpose.
            for each in group.experiments:
                if not each.control_environment and self._wants_control(rows[each.name]):
                    rows[each.name] = self._run_control(rows[each.name], shop)
        return rows

    def _run_controls(self, group: Group, *, rows: dict[str, Row]) -> dict[str, Row]:
        with self._shop(group.environment) as shop:
            return {
                each.name: self._run_control(rows[each.name], shop) for each in group.experiments
            }

    def _wants_control(self, row: Row) -> bool:
        return not self.size.is_quick and row.result == "pass"

    def _run_one(self, experiment: Experiment, shop: Usable, *, compares_books: bool) -> Row:
        outcome: Outcome | None = None
        reason, began = "", time.monotonic()
        try:
            with self._quiet.turn(alone=False):
                whole = shop.whole()
                whole.compares_books = compares_books
            with self._quiet.turn(alone=experiment.runs_alone(self.size)):
                began = time.monotonic()
                outcome = experiment.run(whole, self.size)
        except NotPossible as error:
            reason = str(error)
        except Exception as error:  # one experiment must not keep the others from running
            self._write_traceback(experiment)
            outcome = Outcome(violations=[f"{type(error).__name__}: {error}"])
        seconds = time.monotonic() - began
        # What passed has left nothing to do, and sound books.
        shop.is_clean = outcome is None or not outcome.found
        row = Row(experiment=experiment, outcome=outcome, reason=reason, seconds=seconds)
        self._print(row, outcome.found[:_SHOWN] if outcome else [reason], style="red")
        return row

    def _run_control(self, row: Row, shop: Usable) -> Row:
        """The row with its control, which must find violations."""
        control = row.experiment.control
        if control is None:
            return row
        with self._quiet.turn(alone=row.experiment.runs_alone(self.size)):
            began = time.monotonic()
            try:
                # Those that have a shop of their own judge their own orders only: one shop will do.
                must_be_clean = not row.experiment.control_environment
                whole = shop.whole(must_be_clean=must_be_clean)
                shop.is_clean = False
                found = control(whole, self.size)
            except Exception as error:  # which proves nothing, so the experiment fails
                self._write_traceback(row.experiment)
                found = Outcome(notes=[f"{type(error).__name__}: {error}"])
            row = replace(row, control=found, seconds=row.seconds + time.monotonic() - began)
        shown = [f"without its protection: {text}" for text in found.found or found.notes]
        self._print(row, shown[:_SHOWN_OF_CONTROLS], style="dim")
        return row

    @contextmanager
    def _shop(self, environment: tuple[tuple[str, str], ...]) -> Iterator[Usable]:
        usable = Usable(new=lambda: self._new_shop(environment))
        try:
            yield usable
        finally:
            self._stopping.submit(usable.stop)  # meanwhile the next one starts

    def _new_shop(self, environment: tuple[tuple[str, str], ...]) -> Shop:
        folder = Path(tempfile.mkdtemp(prefix="shop-", dir=self.folder))
        # With owners: PostgreSQL's data may belong to another user.
        subprocess.run(["cp", "-a", f"{self._seeded_data()}/.", folder], check=True)
        shop = Shop(project=self.project, folder=folder, environment=dict(environment))
        self._open.append(shop)
        return shop

    def _seeded_data(self) -> Path:
        """The data of a shop that was seeded and stopped; it takes most of the time of a start."""
        with self._seeding:
            data = self.folder / "seeded"
            if not data.exists():
                shop = Shop(project=self.project, folder=data)
                self._open.append(shop)
                shop.start()
                shop.stop()
            return data

    def _write_traceback(self, experiment: Experiment) -> None:
        with (self.folder / "errors.log").open("a") as log:
            log.write(f"{experiment.name}\n{traceback.format_exc()}\n")

    def _print(self, row: Row, lines: Sequence[str], *, style: str) -> None:
        text = f"[bold]{row.experiment.name}[/]: {row.result} after {row.seconds:.0f} s"
        self.console.print(text, highlight=False)
        for line in lines:
            self.console.print(f"  {line}", style=style, markup=False, highlight=False)


class Usable:
    """A shop for one experiment after the other: a new one whenever the last was damaged."""

    def __init__(self, *, new: Callable[[], Shop]) -> None:
        self._new = new
        self._shop: Shop | None = None
        self.is_clean = True
        """Whether it was seen with nothing left to do and sound books; if not, it is looked at."""

    def whole(self, *, must_be_clean: bool = True) -> Shop:
        """A shop that works, and if `must_be_clean` with nothing left to do and sound books."""
        if (
            must_be_clean
            and self._shop is not None
            and not (self.is_clean or _is_clean(self._shop))
        ):
            self.stop()
            self._shop = None
        if self._shop is None:
            self._shop = self._new()
        if not self._shop.is_running():
            self._shop.start()
        return self._shop

    def stop(self) -> None:
        if self._shop is not None and self._shop.is_running():
            self._shop.stop()


class Quiet:
    """Turns of which some have no other beside them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running = 0
        self._waiting_alone = 0

    @contextmanager
    def turn(self, *, alone: bool) -> Iterator[None]:
        """Wait until nothing runs, if `alone`, or else until nobody is or waits to be alone."""
        with self._changed:
            if alone:
                self._waiting_alone += 1
                self._changed.wait_for(lambda: not self._running)
            else:
                self._changed.wait_for(lambda: not self._waiting_alone)
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._waiting_alone -= alone
                self._changed.notify_all()


@dataclass(frozen=True, kw_only=True)
class Group:
    """What shares a shop."""

    environment: tuple[tuple[str, str], ...]
    experiments: list[Experiment]


def _by_environment(experiments: Sequence[Experiment], *, of_controls: bool = False) -> list[Group]:
    found: dict[tuple[tuple[str, str], ...], list[Experiment]] = {}
    for each in experiments:
        extra = each.control_environment if of_controls else ()
        found.setdefault(each.environment + extra, []).append(each)
    # None so large that the others have ended long before it.
    return [
        Group(environment=environment, experiments=found[environment][start : start + _MOST])
        for environment in found
        for start in range(0, len(found[environment]), _MOST)
    ]


def _is_clean(shop: Shop) -> bool:
    try:
        return shop.is_whole() and not backlog(shop) and not reconcile(shop)
    except Exception:  # whatever is wrong, another shop is needed
        return False
