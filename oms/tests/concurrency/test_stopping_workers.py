"""A worker that is asked to stop lets its tasks finish, and ends in time in any case."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery import current_app

from oms.devserver.errors import end_of_log
from oms.testing.environment import ROOT

pytestmark = pytest.mark.fault

_APP = """
import time
from oms.celery import app

@app.task(name="tests.sleep")
def sleep(seconds):
    print("begun", flush=True)
    time.sleep(seconds)
    print("finished", flush=True)
"""
_TIMEOUT = 4.0

Stop = Callable[[float], tuple[int, float, str]]


@pytest.fixture
def stop_while_busy(tmp_path: Path) -> Iterator[Stop]:
    """Stops a worker with a task that takes so long.

    Returns its exit code, how many seconds it took, and its log.
    """
    (tmp_path / "sleeping.py").write_text(_APP)
    queue, log = f"sleep-{tmp_path.name}-{os.getpid()}", tmp_path / "log"
    command = [sys.executable, "-m", "celery", "--quiet", "--app", "sleeping", "worker"]
    options = ["--queues", queue, "--concurrency", "2", "--without-gossip", "--without-mingle"]
    with log.open("wb") as output:
        worker = subprocess.Popen(
            [*command, *options],
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}",
                "VAR_DIR": str(tmp_path),
                "WORKER_SOFT_SHUTDOWN_TIMEOUT": str(_TIMEOUT),
            },
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def stop(task_seconds: float) -> tuple[int, float, str]:
        current_app.send_task("tests.sleep", [task_seconds], queue=queue)
        deadline = time.monotonic() + 30
        while "begun" not in log.read_text():
            assert time.monotonic() < deadline, end_of_log(log)
            time.sleep(0.05)
        began = time.monotonic()
        worker.terminate()
        code = worker.wait(timeout=30)
        return code, time.monotonic() - began, log.read_text()

    yield stop
    worker.kill()
    worker.wait()


def test_a_task_may_finish(stop_while_busy: Stop) -> None:
    _, seconds, log = stop_while_busy(1.5)

    assert "finished" in log
    assert seconds < _TIMEOUT + 2


def test_one_that_takes_longer_is_left_to_another_worker(stop_while_busy: Stop) -> None:
    code, seconds, log = stop_while_busy(15)

    assert code != 0
    assert _TIMEOUT - 1 < seconds < _TIMEOUT + 2
    assert "finished" not in log
