"""The supervisor, with small real processes."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from oms.devserver import Guard
from oms.devserver.supervisor import Ended, Supervisor


@pytest.fixture
def output() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def supervisor(output: io.StringIO, guard: Guard) -> Iterator[Supervisor]:
    supervisor = Supervisor(guard=guard, output=output)
    yield supervisor
    supervisor.stop(grace=1)


def _start(supervisor: Supervisor, name: str, command: str) -> None:
    supervisor.start(name, command=command, environment=dict(os.environ), folder=Path("/"))


def _wait_for(text: str, output: io.StringIO) -> None:
    deadline = time.monotonic() + 5
    while text not in output.getvalue():
        assert time.monotonic() < deadline, f"{text!r} was not said: {output.getvalue()!r}"
        time.sleep(0.02)


def _pid_said_by(name: str, output: io.StringIO) -> int:
    for line in output.getvalue().splitlines():
        said_by, _, said = line.partition("| ")
        if name in said_by and said.startswith("pid "):
            return int(said.removeprefix("pid "))
    raise AssertionError(f"{name} said no pid: {output.getvalue()!r}")


def test_lines_are_shown_with_the_name_of_their_process(
    supervisor: Supervisor, output: io.StringIO
) -> None:
    _start(supervisor, "greeter", "echo hello; exec sleep 60")

    _wait_for("greeter | hello", output)


def test_a_process_goes_on_when_nobody_reads_its_lines_any_more(guard: Guard) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    supervisor = Supervisor(guard=guard, output=Gone())
    _start(supervisor, "talker", "yes | head -n 200000; exit 7")  # far more than a pipe holds

    assert supervisor.wait(seconds=20) == Ended(name="talker", exit_code=7)
    supervisor.stop(grace=1)


def test_the_process_that_ends_is_named_with_its_exit_code(supervisor: Supervisor) -> None:
    _start(supervisor, "steady", "exec sleep 60")
    _start(supervisor, "broken", "exit 3")

    assert supervisor.wait(seconds=5) == Ended(name="broken", exit_code=3)


def test_waiting_ends_when_its_time_is_over(supervisor: Supervisor) -> None:
    _start(supervisor, "steady", "exec sleep 60")

    assert supervisor.wait(seconds=0.2) is None


def test_stopping_asks_the_process_alone_and_lets_it_finish(
    supervisor: Supervisor, output: io.StringIO
) -> None:
    # The child would say so if the signal reached it; the parent waits for its work to be done.
    child = "trap 'echo child was hit' TERM; sleep 1; echo work is done"
    parent = f"sh -c \"{child}\" & trap 'echo asked' TERM; echo ready; wait; wait"
    _start(supervisor, "worker", parent)
    _wait_for("ready", output)

    supervisor.stop(grace=5)

    _wait_for("work is done", output)
    assert "asked" in output.getvalue()
    assert "child was hit" not in output.getvalue()


def test_stopping_kills_what_does_not_end(supervisor: Supervisor, output: io.StringIO) -> None:
    _start(supervisor, "deaf", "trap '' TERM; echo pid $$; while :; do sleep 0.1; done")
    _wait_for("pid ", output)
    pid = _pid_said_by("deaf", output)
    started = time.monotonic()

    supervisor.stop(grace=0.5)

    assert time.monotonic() - started < 3
    assert not psutil.pid_exists(pid)


def test_stopping_ends_the_children_of_a_process_that_crashed(
    supervisor: Supervisor, output: io.StringIO
) -> None:
    _start(supervisor, "crasher", "sh -c 'echo pid $$; exec sleep 60' & sleep 0.3; kill -9 $$")
    _wait_for("pid ", output)
    child = _pid_said_by("crasher", output)
    assert supervisor.wait(seconds=5) == Ended(name="crasher", exit_code=-9)
    assert psutil.pid_exists(child)

    supervisor.stop(grace=0.5)

    deadline = time.monotonic() + 5
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.02)
