"""The process lock: one at a time, in the order of waiting, and with a bound."""

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
from oms.fastpath.process_lock import ProcessLock

_SECONDS = 10.0


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody lose patience because the machine is busy."""
    monkeypatch.setattr(process_lock, "_PATIENCE", _SECONDS)


def test_a_free_lock_is_acquired_at_once(tmp_path: Path) -> None:
    mine = ProcessLock(tmp_path)

    with mine.hold():
        pass
    with mine.hold():
        pass


def test_a_process_that_requests_it_again_queues_behind_waiting_ones(tmp_path: Path) -> None:
    one, other = ProcessLock(tmp_path), ProcessLock(tmp_path)
    order: list[str] = []
    is_waiting = Event()

    def wait() -> None:
        is_waiting.set()
        with other.hold():
            order.append("other")

    with one.hold():
        order.append("one")
        waiter = Thread(target=wait)
        waiter.start()
        assert is_waiting.wait(_SECONDS)
        time.sleep(0.05)  # it has begun to wait, but for the step of a thread
        assert order == ["one"]
    with one.hold():
        order.append("one again")
    waiter.join(_SECONDS)

    assert order == ["one", "other", "one again"]


def test_a_lock_released_early_is_free_before_its_block_ends(tmp_path: Path) -> None:
    one, other = ProcessLock(tmp_path), ProcessLock(tmp_path)
    order: list[str] = []

    def wait() -> None:
        with other.hold():
            order.append("other")

    with one.hold() as held:
        held.release()
        waiter = Thread(target=wait)
        waiter.start()
        waiter.join(_SECONDS)
        order.append("one")
        held.release()  # it has been released
    with other.hold():
        order.append("again")

    assert order == ["other", "one", "again"]


def test_a_process_without_the_lock_releases_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_lock, "_PATIENCE", 0.05)
    holds, went_ahead, waits = ProcessLock(tmp_path), ProcessLock(tmp_path), ProcessLock(tmp_path)

    with holds.hold():
        with went_ahead.hold() as held:
            held.release()
        begun = time.monotonic()
        with waits.hold():
            waited = time.monotonic() - begun

    assert waited >= 0.05


def test_one_that_hangs_holds_the_others_up_for_no_longer_than_their_patience(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_lock, "_PATIENCE", 0.05)
    hangs, waits = ProcessLock(tmp_path), ProcessLock(tmp_path)
    held = ExitStack()
    held.enter_context(hangs.hold())

    with waits.hold():
        went_ahead = True
    held.close()
    with waits.hold():
        # The one that went ahead without the lock has not taken it away.
        assert went_ahead


def test_the_lock_of_a_dead_process_is_free(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from pathlib import Path\n"
            "from oms.fastpath.process_lock import ProcessLock\n"
            "with ProcessLock(Path(sys.argv[1])).hold(): print('mine', flush=True); time.sleep(60)",
            str(tmp_path),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "mine\n"
    took = Event()

    def take() -> None:
        with ProcessLock(tmp_path).hold():
            took.set()

    taker = Thread(target=take)
    taker.start()
    assert not took.wait(0.1)
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait(_SECONDS)
    taker.join(_SECONDS)

    assert took.is_set()
    holder.stdout.close()


def test_without_a_writable_directory_no_process_waits(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    one, other = ProcessLock(tmp_path / "file"), ProcessLock(tmp_path / "file")

    with one.hold(), other.hold():
        pass


def test_locks_that_the_system_refuses_are_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    one, other = ProcessLock(tmp_path), ProcessLock(tmp_path)
    monkeypatch.setattr("fcntl.flock", refuse)

    with one.hold(), other.hold():
        pass
