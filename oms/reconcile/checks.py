"""What a check is, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Check:
    """One promise, and the statement that finds what breaks it.

    `sql` is a SELECT of `id` (which object) and `detail` (what is wrong with it), one row for each
    violation. It may use the relation `unheard` and the parameter `unarchived`: what has a smaller
    id is older than the log, whose first months may be in the archive. See snapshots.py.
    """

    name: str
    promise: str
    sql: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One object that breaks a promise."""

    id: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a check found: `violations` are the first of `total`.

    `skipped` says why it was not made; "" if it was.
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
