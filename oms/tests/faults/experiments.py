"""What an experiment is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from oms.tests.faults.shop import Shop


@dataclass(kw_only=True)
class Outcome:
    """What was done and what was found; the experiment passes without violations.

    `done` counts what was done, by words such as "orders placed". `slow` are violations of bars of
    time alone. `recoveries` are the seconds from each fault, or from its end, to the moment when
    the shop was whole again.
    """

    done: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)
    recoveries: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Measurements worth a line in the report, such as a rate kept."""

    def count(self, what: str, number: int = 1) -> None:
        self.done[what] = self.done.get(what, 0) + number

    def recovered(self, seconds: float, *, bar: float, what: str) -> None:
        """Record a recovery; one that took longer than `bar` seconds is a violation."""
        self.recoveries.append(seconds)
        if seconds > bar:
            self.slow.append(f"{what}: recovered after {seconds:.1f} s, bar {bar:g} s")

    @property
    def found(self) -> list[str]:
        """All violations."""
        return [*self.violations, *self.slow]


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One row of the table.

    `run` gets a shop that works and must leave it working. `control` does the same with the
    protection taken away: it proves something only if it finds violations. `environment` are the
    variables of the shop that `run` needs, and `control_environment` those that `control` needs
    besides; what needs the same ones shares a shop. `needs_quiet` is for measurements: nothing else
    runs at the same time. At full size that is so for `is_heavy` too, which uses all processors.
    """

    name: str
    bar: str
    run: Callable[[Shop, Size], Outcome]
    control: Control | None = None
    environment: tuple[tuple[str, str], ...] = ()
    control_environment: tuple[tuple[str, str], ...] = ()
    needs_quiet: bool = False
    is_heavy: bool = False

    def runs_alone(self, size: Size) -> bool:
        return self.needs_quiet or (self.is_heavy and not size.is_quick)


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is done: `make faults QUICK=1`, or an hour of it."""

    is_quick: bool

    def choose(self, *, quick: int, full: int) -> int:
        return quick if self.is_quick else full


class NotPossible(Exception):
    """The machine or the checkout lacks what the experiment needs; the message says what."""


Control = Callable[[Shop, Size], Outcome]
