"""The local Valkey, started in a folder of its own."""

from __future__ import annotations

import socket
from contextlib import AbstractContextManager
from pathlib import Path

import psutil
import pytest
import redis

from oms.devserver.errors import DevServerError
from oms.devserver.ports import free_port
from oms.devserver.processes import ChildProcesses, Service
from oms.devserver.valkey import local_valkey


def test_a_durable_one_keeps_its_data(tmp_path: Path, children: ChildProcesses) -> None:
    def server() -> AbstractContextManager[Service]:
        return local_valkey(
            data=tmp_path / "vk", log=tmp_path / "vk.log", port=free_port(), children=children
        )

    with server() as running, redis.Redis.from_url(running.url) as client:
        client.set("kept", "7")

    with server() as running, redis.Redis.from_url(running.url) as client:
        assert client.get("kept") == b"7"


def test_a_port_in_use_is_reported_and_nothing_keeps_running(
    tmp_path: Path, children: ChildProcesses
) -> None:
    before = _children()

    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(DevServerError, match="did not start"),
        local_valkey(
            data=tmp_path / "vk",
            log=tmp_path / "vk.log",
            port=taken.getsockname()[1],
            children=children,
        ),
    ):
        pytest.fail("it cannot have started")

    assert _children() == before


def _children() -> set[int]:
    return {process.pid for process in psutil.Process().children(recursive=True)}
