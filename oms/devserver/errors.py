"""Why a process or server of this machine cannot run."""

from __future__ import annotations

from pathlib import Path


class DevServerError(Exception):
    """A local server cannot run; the message is shown in the terminal."""


def end_of_log(log: Path, *, lines: int = 15) -> str:
    """The last lines of `log`, indented, or a note that it is empty."""
    tail = log.read_text(errors="replace").splitlines()[-lines:] if log.exists() else []
    return "\n".join(f"    {line}" for line in tail) or "    (its log is empty)"
