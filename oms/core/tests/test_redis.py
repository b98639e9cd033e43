"""The circuit breaker of Redis: one call waits, all others fail at once, until it answers again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from multiprocessing import get_context
from threading import Event

import pytest
from redis import Redis
from redis.exceptions import ConnectionError, RedisError

from oms.core import redis as module
from oms.core.redis import GuardedPool, RedisBreaker, breaker, redis_client
from oms.devserver.ports import free_port
from oms.devserver.processes import ChildProcesses
from oms.devserver.valkey import local_valkey


def eventually(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.slow
def test_while_a_server_hangs_one_call_waits_for_it_and_its_return_is_noticed(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder, children = tmp_path_factory.mktemp("valkey"), ChildProcesses()
    with local_valkey(
        data=folder, log=folder / "log", port=free_port(), children=children, durable=False
    ) as valkey:
        client = redis_client(valkey.url)
        assert client.ping()
        [pid] = {int(client.info("server")["process_id"])}
        os.kill(pid, 19)
        try:
            began = time.monotonic()
            with pytest.raises(RedisError):
                client.ping()
            assert time.monotonic() - began < 3
            began = time.monotonic()
            for _ in range(1000):
                with pytest.raises(ConnectionError, match="unavailable"):
                    client.ping()
            assert time.monotonic() - began < 1
            assert breaker(valkey.url).is_open
            # Another client of the same server waits no more either.
            other = Redis(connection_pool=GuardedPool.from_url(valkey.url))
            with pytest.raises(ConnectionError, match="unavailable"):
                other.ping()
            other.close()
        finally:
            os.kill(pid, 18)
        eventually(lambda: not breaker(valkey.url).is_open)
        assert client.ping()
        client.close()
    children.close()


def test_it_is_closed_by_its_probe_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE", 0.01)
    is_back = Event()

    def probe() -> None:
        if not is_back.is_set():
            raise ConnectionError

    found = RedisBreaker(probe)
    assert not found.is_open
    found.open(ConnectionError())
    time.sleep(0.1)
    assert found.is_open

    is_back.set()
    eventually(lambda: not found.is_open)


def _closes(found: RedisBreaker, is_back: Event) -> None:
    is_back.set()
    eventually(lambda: not found.is_open)


def test_a_process_that_was_forked_meanwhile_notices_the_return_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_PAUSE", 0.01)
    fork = get_context("fork")
    is_back = fork.Event()

    def probe() -> None:
        if not is_back.is_set():
            raise ConnectionError

    found = RedisBreaker(probe)
    found.open(ConnectionError())
    child = fork.Process(target=_closes, args=(found, is_back))
    child.start()
    child.join(20)

    assert child.exitcode == 0
