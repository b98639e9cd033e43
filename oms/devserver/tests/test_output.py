"""Lines of processes at an output that is closed, or that nobody reads."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path

from oms.devserver.output import MOST_WAITING
from oms.devserver.processes import ChildProcesses
from oms.devserver.tests.supervising import start, states_in, supervise, supervisor_for


def test_a_process_keeps_running_when_the_output_is_closed(
    children: ChildProcesses, run_folder: Path
) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    supervisor = supervisor_for(children, Gone(), run_folder)
    done = run_folder / "done"
    # Far more than a pipe holds.
    start(supervisor, "talker", f"yes | head -n 50000; touch {done}; exec sleep 60")

    supervise(supervisor, until=done.exists, seconds=20)

    supervisor.stop(grace=1)


def test_nobody_waits_for_an_output_that_is_not_read(
    children: ChildProcesses, run_folder: Path
) -> None:
    """As of a terminal that was paused by Ctrl-S."""
    reading, writing = os.pipe()
    done, number = run_folder / "done", 3 * MOST_WAITING
    with os.fdopen(reading) as screen, os.fdopen(writing, "w") as output:
        supervisor = supervisor_for(children, output, run_folder)
        talk = f"yes words | head -n {number}; touch {done}; sleep 0.5; echo last"
        start(supervisor, "talker", talk)

        supervise(supervisor, until=done.exists)
        supervise(supervisor, until=lambda: states_in(run_folder)["talker"]["restarts"] == 1)

        printed = dropped = 0
        while printed + dropped < number or not dropped:
            line = screen.readline()
            if "were dropped" in line:
                dropped += int(line.partition("(")[2].partition(" ")[0])
            else:
                printed += "words" in line
        supervisor.stop(grace=1)
        # All the rest, for it has to be at its end before the file is closed.
        threading.Thread(target=screen.read, daemon=True).start()
        supervisor._output.close(seconds=10)
