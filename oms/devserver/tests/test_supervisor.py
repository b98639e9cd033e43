"""The supervisor, with small real processes."""

from __future__ import annotations

import io
import os
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from oms.devserver.processes import ChildProcesses
from oms.devserver.supervisor import Exit, Supervisor
from oms.devserver.tests.supervising import start, states_in, supervise, wait_for


def test_a_folder_of_states_that_is_gone_stops_nothing(
    supervisor: Supervisor, output: io.StringIO, run_folder: Path
) -> None:
    start(supervisor, "one", "echo begun; sleep 60")
    wait_for("begun", output)
    shutil.rmtree(run_folder)
    run_folder.write_text("in the way")

    start(supervisor, "two", "echo begun; sleep 60")
    wait_for("begun", output, times=2)
    assert supervisor.check() is None


def test_a_start_that_the_system_refuses_is_tried_again(
    supervisor: Supervisor, output: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oms.devserver.supervisor._LAUNCH_PAUSE", 0.1)
    start(supervisor, "one", "echo begun; sleep 0.2")
    wait_for("begun", output)
    original = ChildProcesses.start
    refusals = iter([BlockingIOError(11, "Resource temporarily unavailable")])

    def refuse_once(*arguments: Any, **options: Any) -> Any:
        if (error := next(refusals, None)) is not None:
            raise error
        return original(*arguments, **options)

    monkeypatch.setattr(ChildProcesses, "start", refuse_once)
    deadline = time.monotonic() + 5
    while output.getvalue().count("begun") < 2:
        assert supervisor.check() is None
        assert time.monotonic() < deadline, output.getvalue()
        time.sleep(0.02)
    wait_for("one cannot be started: [Errno 11]", output)


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


def test_lines_are_printed_with_the_name_of_their_process(
    supervisor: Supervisor, output: io.StringIO
) -> None:
    start(supervisor, "greeter", "echo hello; exec sleep 60")

    wait_for("greeter | hello", output)


def test_a_look_or_a_start_that_fails_is_no_end(
    supervisor: Supervisor, output: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oms.devserver.supervisor._LAUNCH_PAUSE", 0.1)
    monkeypatch.setattr("oms.devserver.supervisor._LOOK_SECONDS", 0.1)
    start(supervisor, "one", "echo begun; sleep 0.2")
    wait_for("begun", output)
    look, begin = psutil.Process.children, threading.Thread.start
    failures = {"look": 1, "start": 1}

    def failing_look(*arguments: Any, **options: Any) -> Any:
        if failures.pop("look", 0):
            raise OSError(24, "Too many open files")
        return look(*arguments, **options)

    def failing_start(thread: threading.Thread) -> None:
        if failures.pop("start", 0):
            raise RuntimeError("can't start new thread")
        begin(thread)

    monkeypatch.setattr(psutil.Process, "children", failing_look)
    monkeypatch.setattr(threading.Thread, "start", failing_start)

    supervise(supervisor, until=lambda: output.getvalue().count("begun") > 1)

    assert "one cannot be started: can't start new thread" in output.getvalue()
    assert "cannot look at the processes: [Errno 24]" in output.getvalue()
    assert not failures


def test_a_killed_process_is_started_again_and_the_others_go_on(
    supervisor: Supervisor, output: io.StringIO, run_folder: Path
) -> None:
    start(supervisor, "steady", "echo pid $$; exec sleep 60")
    start(supervisor, "victim", "echo pid $$; exec sleep 60")
    wait_for("pid ", output, times=2)
    [steady], [victim] = _pids_printed_by("steady", output), _pids_printed_by("victim", output)
    assert states_in(run_folder)["victim"] == {"status": "ok", "restarts": 0}

    os.kill(victim, signal.SIGKILL)

    supervise(supervisor, until=lambda: "restarting in 0.5 s" in output.getvalue())
    assert states_in(run_folder)["victim"] == {"status": "restarting", "restarts": 0}
    supervise(supervisor, until=lambda: len(_pids_printed_by("victim", output)) == 2)
    assert states_in(run_folder)["victim"] == {"status": "ok", "restarts": 1}
    assert states_in(run_folder)["steady"] == {"status": "ok", "restarts": 0}
    assert "supervisor| victim was ended by SIGKILL" in output.getvalue().replace(" |", "|")
    assert _runs(steady)


def test_what_a_killed_process_leaves_is_ended_before_its_restart(
    supervisor: Supervisor, output: io.StringIO
) -> None:
    # In a session of its own, as PostgreSQL's backends are: a signal to the group misses it.
    command = "setsid sh -c 'echo pid $$; exec sleep 60' & wait"
    start(supervisor, "crasher", f'sh -c "sleep 1.5; kill -9 $$" & {command}')
    supervise(supervisor, until=lambda: "pid " in output.getvalue())
    [child] = _pids_printed_by("crasher", output)
    assert _runs(child)

    supervise(supervisor, until=lambda: "was restarted" in output.getvalue())

    assert not _runs(child)


@pytest.mark.parametrize("victim", [0, 1], ids=["main", "child"])
def test_a_stopped_process_is_ended_and_replaced(
    supervisor: Supervisor, output: io.StringIO, victim: int
) -> None:
    child = "sh -c 'echo pid $$; exec sleep 60'"
    start(supervisor, "frozen", f"echo pid $$; while :; do {child} & wait $!; done")
    wait_for("pid ", output, times=2)
    pid = _pids_printed_by("frozen", output)[victim]

    os.kill(pid, signal.SIGSTOP)

    supervise(supervisor, until=lambda: not _runs(pid))
    supervise(supervisor, until=lambda: len(_pids_printed_by("frozen", output)) > 2)
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
    start(supervisor, "hung", f"echo pid $$; {beats}; echo silent; while :; do sleep 1; done")

    supervise(supervisor, until=lambda: "hung was restarted" in output.getvalue())

    text = output.getvalue()
    assert text.index("silent") < text.index("hung does not respond")


def test_one_that_keeps_ending_stops_the_run_with_its_last_words(
    supervisor: Supervisor, output: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oms.devserver.supervisor._FIRST_PAUSE", 0.02)
    start(supervisor, "steady", "exec sleep 60")
    start(supervisor, "broken", "echo no such table; exit 3")

    ended = supervise(supervisor)

    assert ended == Exit(name="broken", code=3, last_words="\n".join(["    no such table"] * 5))
    wait_for("broken was restarted", output, times=4)
    for pause in ("0.0 s", "0.1 s", "0.2 s"):
        assert f"restarting in {pause}" in output.getvalue()


def test_one_that_ran_for_a_minute_may_end_as_often_as_it_likes(
    supervisor: Supervisor, output: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oms.devserver.supervisor._FIRST_PAUSE", 0.02)
    monkeypatch.setattr("oms.devserver.supervisor._SHORT_SECONDS", 0.1)
    start(supervisor, "mortal", "sleep 0.2; exit 1")

    ended = supervise(supervisor, until=lambda: output.getvalue().count("was restarted") == 6)

    assert ended is None


def test_stopping_signals_only_the_process_itself_and_lets_it_finish(
    supervisor: Supervisor, output: io.StringIO
) -> None:
    # The child would print a line if the signal reached it; the parent waits for it to finish.
    child = "trap 'echo child was hit' TERM; sleep 1; echo work is done"
    parent = f"sh -c \"{child}\" & trap 'echo received TERM' TERM; echo ready; wait; wait"
    start(supervisor, "worker", parent)
    wait_for("ready", output)

    supervisor.stop(grace=5)

    wait_for("work is done", output)
    assert "received TERM" in output.getvalue()
    assert "child was hit" not in output.getvalue()


def test_stopping_kills_a_process_that_ignores_sigterm(
    supervisor: Supervisor, output: io.StringIO
) -> None:
    start(supervisor, "stubborn", "trap '' TERM; echo pid $$; while :; do sleep 0.1; done")
    wait_for("pid ", output)
    [pid] = _pids_printed_by("stubborn", output)
    started = time.monotonic()

    supervisor.stop(grace=0.5)

    assert time.monotonic() - started < 3
    assert not psutil.pid_exists(pid)
