"""Workers and the scheduler outlive their broker, and show that they live."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
import redis

from oms.devserver.ports import free_port
from oms.devserver.processes import ChildProcesses
from oms.devserver.valkey import local_valkey
from oms.testing.processes import Processes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]


@pytest.fixture
def processes() -> Iterator[Processes]:
    with Processes() as processes:
        yield processes


def _wait(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def _heartbeats(folder: Path) -> dict[str, int]:
    return {
        file.name: file.stat().st_mtime_ns for file in (folder / "run" / "heartbeats").glob("*")
    }


@pytest.mark.timeout(240)
def test_they_give_signs_of_life_and_go_on_when_the_broker_returns(
    processes: Processes, tmp_path: Path
) -> None:
    children = ChildProcesses()
    broker = partial(
        local_valkey,
        data=tmp_path / "vk",
        log=tmp_path / "vk.log",
        port=free_port(),
        children=children,
    )
    with broker() as first:
        environment = {"REDIS_URL": first.url, "VAR_DIR": str(tmp_path)}
        (tmp_path / "beat").mkdir()
        running = [processes.start(name, environment) for name in ("worker", "beat")]
        mains = {str(process.pid) for process in running}
        _wait(lambda: _heartbeats(tmp_path).keys() >= mains, seconds=20, what="no heartbeats")

    # Longer than Celery's first pauses, of two, four and six seconds.
    for _ in range(3):
        before = _heartbeats(tmp_path)
        time.sleep(4.5)
        after = _heartbeats(tmp_path)
        assert all(after[pid] > before[pid] for pid in mains), "silent while the broker is away"

    with broker() as second, redis.Redis.from_url(second.url) as client:
        began = time.monotonic()
        _wait(lambda: bool(client.client_list(_type="normal")[1:]), seconds=10, what="nobody")
        _wait(
            lambda: any(entry["cmd"] == "brpop" for entry in client.client_list()),
            seconds=10,
            what="the worker receives nothing",
        )
        assert time.monotonic() - began < 8
        after = _heartbeats(tmp_path)
        _wait(
            lambda: all(_heartbeats(tmp_path)[pid] > after[pid] for pid in mains),
            seconds=10,
            what="silent after the broker's return",
        )
        assert all(psutil.pid_exists(process.pid) for process in running)
        for process in running:
            process.terminate()
    children.close()
