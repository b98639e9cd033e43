"""A program that archives a month and kills itself at one moment of it.

    python -m oms.events.tests.dying FOLDER MONTH CALL NUMBER WHEN

CALL is called for the NUMBERth time; WHEN is "before" or "after" it.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

# What may be named by CALL, and where it is looked up.
CALLS = {
    "fsync": ("os", "fsync"),
    "rename": ("pathlib", "Path.rename"),
    "verify": ("oms.events.archiving", "verify_file"),
    "drop": ("oms.events.archiving", "_drop"),
    "check": ("oms.events.archiving", "_require_archivable"),
    "commit": ("django.db.backends.base.base", "BaseDatabaseWrapper._commit"),
}


def main(folder: str, month: str, call: str, number: str, when: str) -> None:
    import django

    django.setup()
    from oms.events.archiving import archive_month

    module, path = CALLS[call]
    owner: Any = importlib.import_module(module)
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    setattr(owner, name, _deadly(getattr(owner, name), int(number), when))
    archive_month(month=date.fromisoformat(month), folder=Path(folder), consumers=["tests"])


def _deadly(call: Callable[..., Any], number: int, when: str) -> Callable[..., Any]:
    calls = 0

    def deadly(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = call(*args, **kwargs)
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return deadly


if __name__ == "__main__":
    main(*sys.argv[1:])
