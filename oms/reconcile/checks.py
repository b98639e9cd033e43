"""Checks and their findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

# How many violations of a check are shown.
SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Check:
    """An invariant, and the statement that finds its violations.

    `sql` is a SELECT of `id` (of which object) and `detail` (what is wrong with it), one row for
    each violation; `ctes` are common table expressions that it uses, `parameters` returns its
    parameters when it is run.
    """

    name: str
    promise: str
    sql: str
    ctes: str = ""
    parameters: Callable[[], Mapping[str, Any]] = dict


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One object that violates an invariant."""

    id: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of a check: `violations` are the first of `total`.

    `skipped` is the reason why it was not run; "" if it was.
    """

    name: str
    promise: str
    violations: tuple[Violation, ...] = ()
    total: int = 0
    seconds: float = 0.0
    skipped: str = ""

    @property
    def holds(self) -> bool:
        return self.total == 0
