"""The supervisor, with small real processes."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import psutil
import pytest

from oms.devserver.processes import ChildProcesses
from oms.devserver.supervisor import Exit, Supervisor


@pytest.fixture
def output() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    (tmp_path / "heartbeats").mkdir()
    return tmp_path


def _supervisor(children: ChildProcesses, output: IO[str], run_folder: Path) -> Supervisor:
    return Supervisor(
        children=children,
        output=output,
        states=run_folder / "processes.json",
        heartbeats=run_folder / "heartbeats",
    )


@pytest.fixture
def supervisor(
    output: io.StringIO, children: ChildProcesses, run_folder: Path
) -> Iterator[Supervisor]:
    supervisor = _supervisor(children, output, run_folder)
    yield supervisor
    supervisor.stop(grace=1)


def _start(supervisor: Supervisor, name: str, command: str) -> None:
    supervisor.start(name, command=command, environment=dict(os.environ), folder=Path("/"))


def test_a_folder_of_states_that_is_gone_stops_nothing(
    supervisor: Supervisor, output: io.StringIO, run_folder: Path
) -> None:
    _start(supervisor, "one", "echo begun; sleep 60")
    _wait_for("begun", output)
    shutil.rmtree(run_folder)
    run_folder.write_text("in the way")

    _start(supervisor, "two", "echo begun; sleep 60")
    _wait_for("begun", output, times=2)
    assert supervisor.check() is None


def test_a_start_that_the_system_refuses_is_tried_again(
    supervisor: Supervisor, output: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oms.devserver.supervisor._LAUNCH_PAUSE", 0.1)
    _start(supervisor, "one", "echo begun; sleep 0.2")
    _wait_for("begun", output)
    start = ChildProcesses.start
    refusals = iter([BlockingIOError(11, "Resource temporarily unavailable")])

    def refuse_once(*arguments: Any, **options: Any) -> Any:
        if (error := next(refusals, None)) is not None:
            raise error
        return start(*arguments, **options)

    monkeypatch.setattr(ChildProcesses, "start", refuse_once)
    deadline = time.monotonic() + 5
    while output.getvalue().count("begun") < 2:
        assert supervisor.check() is None
        assert time.monotonic() < deadline, output.getvalue()
        time.sleep(0.02)
    assert "one cannot be started: [Errno 11]" in output.getvalue()


def _wait_for(text: str, output: io.StringIO, *, times: int = 1) -> None:
    deadline = time.monotonic() + 5
    while output.getvalue().count(text) < times:
        assert time.monotonic() < deadline, f"{text!r} is missing: {output.getvalue()!r}"
        time.sleep(0.02)


def _supervise(
    supervisor: Supervisor, *, until: Callable[[], bool] = lambda: False, seconds: float = 15
) -> Exit | None:
    """Check like `make run`, until something keeps ending; fails if `until` does not come."""
    deadline = time.monotonic() + seconds
    while not (ended := supervisor.check()) and not until():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return ended


def _pids_printed_by(name: str, output: io.StringIO) -> list[int]:
    lines = [line.partition("| ") for line in output.getvalue().splitlines()]
    return [
        int(text.removeprefix("pid "))
        for prefix, _, text in lines
        if prefix.split()[1:] == [name] and text.startswith("pid ")
    ]


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _states(run_folder: Path) -> Any:
    return json.loads((run_folder / "processes.json").read_text())


def test_lines_are_printed_with_the_name_of_their_process(
    supervisor: Supervisor, output: io.StringIO
) -> None:
    _start(supervisor, "greeter", "echo hello; exec sleep 60")

    _wait_for("greeter | hello", output)


def test_a_process_keeps_running_when_the_output_is_closed(
    children: ChildProcesses, run_folder: Path
) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    supervisor = _supervisor(children, Gone(), run_folder)
    done = run_folder / "done"
    # Far more than a pipe holds.
    _start(supervisor, "talker", f"yes | head -n 50000; touch {done}; exec sleep 60")

    _supervise(supervisor, until=done.exists, seconds=20)

    supervisor.stop(grace=1)


def test_a_killed_process_is_started_again_and_the_others_go_on(
    supervisor: Supervisor, output: io.StringIO, run_folder: Path
) -> None:
    _start(supervisor, "steady", "echo pid $$; exec sleep 60")
    _start(supervisor, "victim", "echo pid $$; exec sleep 60")
    _wait_for("pid ", output, times=2)
    [steady], [victim] = _pids_printed_by("steady", output), _pids_printed_by("victim", output)
    assert _states(run_folder)["victim"] == {"status": "ok", "restarts": 0}

    os.kill(victim, signal.SIGKILL)

    _supervise(supervisor, until=lambda: "restarting in 0.5 s" in output.getvalue())
    assert _states(run_folder)["victim"] == {"status": "restarting", "restarts": 0}
    _supervise(supervisor, until=lambda: len(_pids_printed_by("victim", output)) == 2)
    assert _states(run_folder)["victim"] == {"status": "ok", "restarts": 1}
    assert _states(run_folder)["steady"] == {"status": "ok", "restarts": 0}
    assert "supervisor| victim was ended by SIGKILL" in output.getvalue().replace(" |", "|")
    assert _runs(steady)


def test_what_a_killed_process_leaves_is_ended_before_its_restart(
    supervisor: Supervisor, output: io.StringIO
) -> None:
    # In a session of its own, as PostgreSQL's backends are: a signal to the group misses it.
    command = "setsid sh -c 'echo pid $$; exec sleep 60' & wait"
    _start(supervisor, "crasher", f'sh -c "sleep 1.5; kill -9 $$" & {command}')
    _supervise(supervisor, until=lambda: "pid " in output.getvalue())
    [child] = _pids_printed_by("crasher", output)
    assert _runs(child)

    _supervise(supervisor, until=lambda: "was restarted" in output.getvalue())

    assert not _runs(child)


@pytest.mark.parametrize("victim", [0, 1], ids=["main", "child"])
def test_a_stopped_process_is_ended_and_replaced(
    supervisor: Supervisor, output: io.StringIO, victim: int
) -> None:
    child = "sh -c 'echo pid $$; exec sleep 60'"
    _start(supervisor, "frozen", f"echo pid $$; while :; do {child} & wait $!; done")
    _wait_for("pid ", output, times=2)
    pid = _pids_printed_by("frozen", output)[victim]

    os.kill(pid, signal.SIGSTOP)

    _supervise(supervisor, until=lambda: not _runs(pid))
    _supervise(supervisor, until=lambda: len(_pids_printed_by("frozen", output)) > 2)
    assert "does not respond; ending it" in output.getvalue()
    assert ("frozen was restarted" in output.getvalue()) == (victim == 0)


def test_a_process_whose_heart_stops_is_ended_and_replaced(
    supervisor: Supervisor,
    output: io.StringIO,
    run_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("oms.devserver.supervisor._LOOK_SECONDS", 0.1)
    heartbeat = f"touch {run_folder}/heartbeats/$$"
    beats = f"for n in 1 2 3 4 5; do {heartbeat}; sleep 0.5; done"
    _start(supervisor, "hung", f"echo pid $$; {beats}; echo silent; while :; do sleep 1; done")

    _supervise(supervisor, until=lambda: "hung was restarted" in output.getvalue())

    text = output.getvalue()
    assert text.index("silent") < text.index("hung does not respond")


def test_one_that_keeps_ending_stops_the_run_with_its_last_words(
    supervisor: Supervisor, output: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oms.devserver.supervisor._FIRST_PAUSE", 0.02)
    _start(supervisor, "steady", "exec sleep 60")
    _start(supervisor, "broken", "echo no such table; exit 3")

    ended = _supervise(supervisor)

    assert ended == Exit(name="broken", code=3, last_words="\n".join(["    no such table"] * 5))
    assert output.getvalue().count("broken was restarted") == 4
    for pause in ("0.0 s", "0.1 s", "0.2 s"):
        assert f"restarting in {pause}" in output.getvalue()


def test_one_that_ran_for_a_minute_may_end_as_often_as_it_likes(
    supervisor: Supervisor, output: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oms.devserver.supervisor._FIRST_PAUSE", 0.02)
    monkeypatch.setattr("oms.devserver.supervisor._SHORT_SECONDS", 0.1)
    _start(supervisor, "mortal", "sleep 0.2; exit 1")

    ended = _supervise(supervisor, until=lambda: output.getvalue().count("was restarted") == 6)

    assert ended is None


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
    [pid] = _pids_printed_by("stubborn", output)
    started = time.monotonic()

    supervisor.stop(grace=0.5)

    assert time.monotonic() - started < 3
    assert not psutil.pid_exists(pid)
