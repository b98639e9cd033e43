"""Files by which a process shows that it works, or that it is about to stop.

They are in the folder RUN_DIR, which belongs to the processes of one machine or container.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

HEARTBEAT_SECONDS = 2.0
"""How often a process gives a sign of life; without one for half a minute it is ended."""


def beat(folder: Path) -> None:
    """Give a sign of life. To be called where nothing is called once the process hangs.

    Where none can be given, as on a full disk, the process takes its file away if it can: who has
    none is not judged.
    """
    heartbeat = folder / "heartbeats" / str(os.getpid())
    try:
        heartbeat.parent.mkdir(parents=True, exist_ok=True)
        heartbeat.touch()
    except OSError:
        with suppress(OSError):
            heartbeat.unlink()


def stopping_file(folder: Path, server: int) -> Path:
    """Exists while the web server, whose main process is `server`, takes no new work."""
    return folder / f"stopping-{server}"


def closing_file(folder: Path, server: int) -> Path:
    """Exists once that server is about to close its port; streams end then."""
    return folder / f"closing-{server}"
