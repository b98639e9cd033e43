"""A supervisor of small real processes, and what it does with them."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from oms.devserver.output import Output
from oms.devserver.processes import ChildProcesses
from oms.devserver.supervisor import Exit, Supervisor


def supervisor_for(children: ChildProcesses, output: IO[str], run_folder: Path) -> Supervisor:
    return Supervisor(
        children=children,
        output=Output(output),
        states=run_folder / "processes.json",
        heartbeats=run_folder / "heartbeats",
    )


def start(supervisor: Supervisor, name: str, command: str) -> None:
    supervisor.start(name, command=command, environment=dict(os.environ), folder=Path("/"))


def wait_for(text: str, output: io.StringIO, *, times: int = 1) -> None:
    deadline = time.monotonic() + 5
    while output.getvalue().count(text) < times:
        assert time.monotonic() < deadline, f"{text!r} is missing: {output.getvalue()!r}"
        time.sleep(0.02)


def supervise(
    supervisor: Supervisor, *, until: Callable[[], bool] = lambda: False, seconds: float = 15
) -> Exit | None:
    """Check like `make run`, until something keeps ending; fails if `until` does not come."""
    deadline = time.monotonic() + seconds
    while not (ended := supervisor.check()) and not until():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return ended


def states_in(run_folder: Path) -> Any:
    return json.loads((run_folder / "processes.json").read_text())
