"""What counts as frozen, with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from oms.devserver.watchdog import Watchdog
from oms.testing.environment import ROOT


@pytest.fixture
def process() -> Iterator[psutil.Process]:
    with subprocess.Popen(["sleep", "60"]) as sleeping:
        yield psutil.Process(sleeping.pid)
        sleeping.kill()


@pytest.fixture
def watchdog(tmp_path: Path) -> Watchdog:
    return Watchdog(tmp_path, stopped_looks=2, silent_looks=3)


def _looks(watchdog: Watchdog, process: psutil.Process, number: int) -> list[bool]:
    return [watchdog.frozen([process]) == [process] for _ in range(number)]


def _wait_for(process: psutil.Process, status: str) -> None:
    deadline = time.monotonic() + 5
    while process.status() != status:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_one_without_a_heartbeat_is_left_alone(watchdog: Watchdog, process: psutil.Process) -> None:
    assert _looks(watchdog, process, 5) == [False] * 5


def test_a_stopped_one_is_frozen_until_it_goes_on(
    watchdog: Watchdog, process: psutil.Process
) -> None:
    process.suspend()
    _wait_for(process, psutil.STATUS_STOPPED)
    assert _looks(watchdog, process, 3) == [False, True, True]

    process.resume()
    _wait_for(process, psutil.STATUS_SLEEPING)
    assert _looks(watchdog, process, 3) == [False] * 3


def test_one_whose_heartbeat_does_not_change_is_frozen(
    watchdog: Watchdog, process: psutil.Process, tmp_path: Path
) -> None:
    _wait_for(process, psutil.STATUS_SLEEPING)
    heartbeat = tmp_path / str(process.pid)
    later = int(process.create_time()) + 5
    for beats in range(4):
        heartbeat.touch()
        os.utime(heartbeat, (later + beats, later + beats))
        assert _looks(watchdog, process, 2) == [False] * 2

    assert _looks(watchdog, process, 2) == [True] * 2


def test_a_heartbeat_of_an_earlier_process_does_not_count(
    watchdog: Watchdog, process: psutil.Process, tmp_path: Path
) -> None:
    heartbeat = tmp_path / str(process.pid)
    heartbeat.touch()
    os.utime(heartbeat, (1, 1))

    assert _looks(watchdog, process, 5) == [False] * 5


def test_one_that_waits_for_the_processor_is_not_frozen(watchdog: Watchdog, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        process = psutil.Process(busy.pid)
        _wait_for(process, psutil.STATUS_RUNNING)
        heartbeat = tmp_path / str(process.pid)
        heartbeat.touch()
        later = int(process.create_time()) + 5
        os.utime(heartbeat, (later, later))

        seen = _looks(watchdog, process, 5)

        busy.kill()
    assert seen == [False] * 5


def test_the_health_check_of_a_container_ends_a_stopped_process(tmp_path: Path) -> None:
    """It sees all processes, so it runs in a process namespace of its own, as in a container."""
    script = """
        sleep 60 & victim=$!
        kill -STOP $victim
        python deploy/healthcheck.py; echo "first: $?"
        python deploy/healthcheck.py; echo "second: $?"
        wait $victim; echo "ended: $?"
        : > "$VAR_DIR/run/looks.json"
        python deploy/healthcheck.py; echo "third: $?"
    """
    command = ["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", script]
    if os.geteuid() != 0:
        command[1:1] = ["--user", "--map-root-user"]
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "VAR_DIR": str(tmp_path),
    }

    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.stderr == ""
    lines = [line for line in done.stdout.splitlines() if not line.startswith("Ending process")]
    killed = 128 + signal.SIGKILL
    assert lines == ["first: 0", "second: 1", f"ended: {killed}", "third: 0"]
