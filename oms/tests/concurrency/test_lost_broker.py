"""Workers and the scheduler outlive their broker, and show that they live."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
import redis
from celery import current_app
from kombu import Connection

from oms.devserver.ports import free_port
from oms.devserver.processes import ChildProcesses
from oms.devserver.valkey import local_valkey
from oms.testing.processes import Processes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


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


@pytest.mark.fault
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
            lambda: _has_command(client, "brpop"),
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


@pytest.mark.timeout(120)
def test_a_worker_goes_on_receiving_when_an_idle_connection_was_cut(
    processes: Processes, tmp_path: Path
) -> None:
    """One that it uses only to acknowledge: redis-py repairs it, and nobody sees an error."""
    children = ChildProcesses()
    with (
        local_valkey(
            data=tmp_path / "vk", log=tmp_path / "vk.log", port=free_port(), children=children
        ) as broker,
        redis.Redis.from_url(broker.url) as client,
        Connection(broker.url) as sender,
    ):
        processes.start("worker", {"REDIS_URL": broker.url, "VAR_DIR": str(tmp_path)})

        def send_and_wait(seconds: float) -> None:
            current_app.send_task("oms.report_lag", queue="events", connection=sender)
            _wait(
                lambda: not client.llen("events") and not client.zcard("unacked_index"),
                seconds=seconds,
                what="a message is left",
            )

        _wait(lambda: _has_command(client, "brpop"), seconds=20, what="nobody receives")
        send_and_wait(20)
        for entry in client.client_list():
            if entry["cmd"] != "brpop" and int(entry["id"]) != client.client_id():
                client.client_kill_filter(_id=entry["id"])

        for _ in range(2):
            send_and_wait(10)
    children.close()


def _has_command(client: redis.Redis, command: str) -> bool:
    return any(entry["cmd"] == command for entry in client.client_list())
