"""The table at the end of a run."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rich.table import Table

from oms.tests.faults.experiments import Experiment, Outcome

_MOST_NOTES = 5


@dataclass(frozen=True, kw_only=True)
class Row:
    """One experiment's result; `outcome` is None where it was not possible, for `reason`."""

    experiment: Experiment
    outcome: Outcome | None
    control: Outcome | None = None
    reason: str = ""
    seconds: float = 0.0

    @property
    def result(self) -> str:
        """ "pass", "FAIL" or "skipped"."""
        if self.outcome is None:
            return "skipped"
        passed = not self.outcome.found
        # A control that finds nothing shows that the experiment proves nothing.
        proves = self.control is None or bool(self.control.found)
        return "pass" if passed and proves else "FAIL"

    @property
    def is_slow(self) -> bool:
        """Whether nothing but bars of time was violated."""
        return self.outcome is not None and bool(self.outcome.slow) and not self.outcome.violations

    def after(self, first: Row) -> Row:
        """This row, of the second run, with what the first has found."""
        if self.outcome is None or first.outcome is None:
            return self
        notes = [*self.outcome.notes, *(f"in a first run {text}" for text in first.outcome.slow)]
        return replace(self, outcome=replace(self.outcome, notes=notes))

    @property
    def control_result(self) -> str:
        if self.outcome is None or self.experiment.control is None:
            return "–"
        if self.control is None:
            return "not run"
        return f"{len(self.control.found)} violations" if self.control.found else "NONE"


def failed(rows: list[Row], *, may_skip: bool) -> list[Row]:
    """The rows that failed; unless it `may_skip`, those that were not possible too."""
    accepted = {"pass", "skipped"} if may_skip else {"pass"}
    return [row for row in rows if row.result not in accepted]


def _done(row: Row) -> str:
    """What was done, and the first measurements."""
    if row.outcome is None:
        return row.reason
    done = ", ".join(f"{number:,} {what}" for what, number in row.outcome.done.items())
    more = ["…"] if len(row.outcome.notes) > _MOST_NOTES else []
    return "; ".join([text for text in (done, *row.outcome.notes[:_MOST_NOTES], *more) if text])


def as_table(rows: list[Row]) -> Table:
    """Experiment, what was done, violations, worst recovery, control, result."""
    table = Table(title="Experiments", show_lines=False)
    table.add_column("Experiment")
    table.add_column("Done")
    table.add_column("Violations", justify="right")
    table.add_column("Worst recovery", justify="right")
    table.add_column("Bar")
    table.add_column("Control")
    table.add_column("Seconds", justify="right")
    table.add_column("Result")
    for row in rows:
        outcome, done = row.outcome or Outcome(), _done(row)
        worst = f"{max(outcome.recoveries):.1f} s" if outcome.recoveries else "–"
        colour = {"pass": "green", "FAIL": "bold red"}.get(row.result, "yellow")
        table.add_row(
            row.experiment.name,
            done,
            str(len(outcome.found)),
            worst,
            row.experiment.bar,
            row.control_result,
            f"{row.seconds:.0f}",
            f"[{colour}]{row.result}",
        )
    return table


def as_markdown(rows: list[Row]) -> str:
    """The same table for docs/reliability.md."""
    lines = [
        "| Experiment | Done | Violations | Worst recovery | Bar | Control | Result |",
        "| --- | --- | ---: | ---: | --- | --- | --- |",
    ]
    for row in rows:
        outcome, done = row.outcome or Outcome(), _done(row)
        worst = f"{max(outcome.recoveries):.1f} s" if outcome.recoveries else "–"
        cells = (
            row.experiment.name,
            done,
            str(len(outcome.found)),
            worst,
            row.experiment.bar,
            row.control_result,
            row.result,
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
