"""The supervisor, with small real processes."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from oms.devserver.processes import ChildProcesses
from oms.devserver.supervisor import Exit, Supervisor


@pytest.fixture
def output() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def supervisor(output: io.StringIO, children: ChildProcesses) -> Iterator[Supervisor]:
    supervisor = Supervisor(children=children, output=output)
    yield supervisor
    supervisor.stop(grace=1)


def _start(supervisor: Supervisor, name: str, command: str) -> None:
    supervisor.start(name, command=command, environment=dict(os.environ), folder=Path("/"))


def _wait_for(text: str, output: io.StringIO) -> None:
    deadline = time.monotonic() + 5
    while text not in output.getvalue():
        assert time.monotonic() < deadline, f"{text!r} is missing: {output.getvalue()!r}"
        time.sleep(0.02)


def _first_exit(supervisor: Supervisor, *, seconds: float) -> Exit | None:
    deadline = time.monotonic() + seconds
    while (ended := supervisor.first_exit()) is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return ended


def _pid_printed_by(name: str, output: io.StringIO) -> int:
    for line in output.getvalue().splitlines():
        prefix, _, text = line.partition("| ")
        if name in prefix and text.startswith("pid "):
            return int(text.removeprefix("pid "))
    raise AssertionError(f"{name} printed no pid: {output.getvalue()!r}")


def test_lines_are_printed_with_the_name_of_their_process(
    supervisor: Supervisor, output: io.StringIO
) -> None:
    _start(supervisor, "greeter", "echo hello; exec sleep 60")

    _wait_for("greeter | hello", output)


def test_a_process_keeps_running_when_the_output_is_closed(children: ChildProcesses) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    supervisor = Supervisor(children=children, output=Gone())
    _start(supervisor, "talker", "yes | head -n 50000; exit 7")  # far more than a pipe holds

    assert _first_exit(supervisor, seconds=20) == Exit(name="talker", code=7)
    supervisor.stop(grace=1)


def test_the_process_that_ends_is_named_with_its_exit_code(supervisor: Supervisor) -> None:
    _start(supervisor, "steady", "exec sleep 60")
    _start(supervisor, "broken", "exit 3")

    assert _first_exit(supervisor, seconds=5) == Exit(name="broken", code=3)


def test_while_all_processes_run_there_is_no_exit(supervisor: Supervisor) -> None:
    _start(supervisor, "steady", "exec sleep 60")

    assert _first_exit(supervisor, seconds=0.2) is None


def test_stopping_signals_only_the_process_itself_and_lets_it_finish(
    supervisor: Supervisor, output: io.StringIO
) -> None:
    # The child would print a line if the signal reached it; the parent waits for it to finish.
    child = "trap 'echo child was hit' TERM; sleep 1; echo work is done"
    parent = f"sh -c \"{child}\" & trap 'echo received TERM' TERM; echo ready; wait; wait"
    _start(supervisor, "worker", parent)
    _wait_for("ready", output)

    supervisor.stop(grace=5)

    _wait_for("work is done", output)
    assert "received TERM" in output.getvalue()
    assert "child was hit" not in output.getvalue()


def test_stopping_kills_a_process_that_ignores_sigterm(
    supervisor: Supervisor, output: io.StringIO
) -> None:
    _start(supervisor, "stubborn", "trap '' TERM; echo pid $$; while :; do sleep 0.1; done")
    _wait_for("pid ", output)
    pid = _pid_printed_by("stubborn", output)
    started = time.monotonic()

    supervisor.stop(grace=0.5)

    assert time.monotonic() - started < 3
    assert not psutil.pid_exists(pid)


def test_stopping_ends_the_children_of_a_process_that_crashed(
    supervisor: Supervisor, output: io.StringIO
) -> None:
    _start(supervisor, "crasher", "sh -c 'echo pid $$; exec sleep 60' & sleep 0.3; kill -9 $$")
    _wait_for("pid ", output)
    child = _pid_printed_by("crasher", output)
    assert _first_exit(supervisor, seconds=5) == Exit(name="crasher", code=-9)
    assert psutil.pid_exists(child)

    supervisor.stop(grace=0.5)

    deadline = time.monotonic() + 5
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.02)
