"""What can go wrong with an embedded service."""

from __future__ import annotations

from pathlib import Path


class EmbeddedServiceError(Exception):
    """An embedded service cannot run; the message is a sentence for the person at the terminal."""


def end_of_log(log: Path, *, lines: int = 15) -> str:
    """The last lines of `log`, indented, or a note that there is nothing in it."""
    try:
        tail = log.read_text(errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        tail = []
    return "\n".join(f"    {line}" for line in tail) or "    (its log is empty)"
