"""ProcessLock: one at a time, in the order of waiting, and never at the price of standing still."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread

import pytest

from oms.fastpath import process_lock
from oms.fastpath.process_lock import ProcessLock, release_process_lock

_SECONDS = 10.0


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody lose patience because the machine is busy."""
    monkeypatch.setattr(process_lock, "_PATIENCE", _SECONDS)


def test_a_turn_that_nobody_has_is_there_at_once(tmp_path: Path) -> None:
    mine = ProcessLock(tmp_path)

    with mine.mine():
        pass
    with mine.mine():
        pass


def test_who_wants_another_turn_comes_after_those_who_wait(tmp_path: Path) -> None:
    one, other = ProcessLock(tmp_path), ProcessLock(tmp_path)
    order: list[str] = []
    is_waiting = Event()

    def wait() -> None:
        is_waiting.set()
        with other.mine():
            order.append("other")

    with one.mine():
        order.append("one")
        waiter = Thread(target=wait)
        waiter.start()
        assert is_waiting.wait(_SECONDS)
        time.sleep(0.05)  # it has begun to wait, but for the step of a thread
        assert order == ["one"]
    with one.mine():
        order.append("one again")
    waiter.join(_SECONDS)

    assert order == ["one", "other", "one again"]


def test_a_turn_that_is_passed_on_early_is_free_before_its_block_ends(tmp_path: Path) -> None:
    one, other = ProcessLock(tmp_path), ProcessLock(tmp_path)
    order: list[str] = []

    def wait() -> None:
        with other.mine():
            order.append("other")

    with one.mine():
        release_process_lock()
        waiter = Thread(target=wait)
        waiter.start()
        waiter.join(_SECONDS)
        order.append("one")
        release_process_lock()  # there is no turn any more
    with other.mine():
        order.append("again")

    assert order == ["other", "one", "again"]


def test_who_went_ahead_without_a_turn_passes_none_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_lock, "_PATIENCE", 0.05)
    holds, went_ahead, waits = ProcessLock(tmp_path), ProcessLock(tmp_path), ProcessLock(tmp_path)

    with holds.mine():
        with went_ahead.mine():
            release_process_lock()
        begun = time.monotonic()
        with waits.mine():
            waited = time.monotonic() - begun

    assert waited >= 0.05


def test_one_that_hangs_holds_the_others_up_for_no_longer_than_their_patience(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_lock, "_PATIENCE", 0.05)
    hangs, waits = ProcessLock(tmp_path), ProcessLock(tmp_path)
    held = ExitStack()
    held.enter_context(hangs.mine())

    with waits.mine():
        went_ahead = True
    held.close()
    with waits.mine():
        # The one that went ahead without a turn took none away.
        assert went_ahead


def test_the_turn_of_a_process_that_dies_is_free(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from pathlib import Path\n"
            "from oms.fastpath.process_lock import ProcessLock\n"
            "with ProcessLock(Path(sys.argv[1])).mine(): print('mine', flush=True); time.sleep(60)",
            str(tmp_path),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "mine\n"
    took = Event()

    def take() -> None:
        with ProcessLock(tmp_path).mine():
            took.set()

    taker = Thread(target=take)
    taker.start()
    assert not took.wait(0.1)
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait(_SECONDS)
    taker.join(_SECONDS)

    assert took.is_set()
    holder.stdout.close()


def test_where_nothing_can_be_written_there_are_no_turns(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    one, other = ProcessLock(tmp_path / "file"), ProcessLock(tmp_path / "file")

    with one.mine(), other.mine():
        pass


def test_locks_that_the_system_refuses_are_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    one, other = ProcessLock(tmp_path), ProcessLock(tmp_path)
    monkeypatch.setattr("fcntl.flock", refuse)

    with one.mine(), other.mine():
        pass
