"""The embedded Valkey, started for real in a folder of its own."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import redis

from oms.devserver import EmbeddedServiceError, EmbeddedValkey, Guard, free_port


def test_a_durable_one_keeps_its_data(tmp_path: Path, guard: Guard) -> None:
    server = EmbeddedValkey(
        data=tmp_path / "vk", log=tmp_path / "vk.log", port=free_port(), guard=guard
    )
    server.start()
    with redis.Redis.from_url(server.url) as client:
        client.set("kept", "7")
    server.stop()

    server.start()

    with redis.Redis.from_url(server.url) as client:
        assert client.get("kept") == b"7"
    server.stop()


def test_a_port_in_use_is_said_and_nothing_is_left(tmp_path: Path, guard: Guard) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = EmbeddedValkey(
            data=tmp_path / "vk",
            log=tmp_path / "vk.log",
            port=taken.getsockname()[1],
            guard=guard,
        )
        with pytest.raises(EmbeddedServiceError, match="did not start"):
            server.start()

    assert server.pid is None
