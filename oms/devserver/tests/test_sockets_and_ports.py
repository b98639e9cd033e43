"""Sockets and ports of the local servers."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from oms.devserver.errors import DevServerError
from oms.devserver.ports import free_port, require_free_port
from oms.devserver.sockets import socket_directory


class TestSocketDirectory:
    def test_the_socket_is_in_the_data_folder(self) -> None:
        assert socket_directory(Path("/srv/shop/pg")) == Path("/srv/shop/pg")

    def test_a_path_too_long_for_a_socket_gets_a_short_folder(self) -> None:
        deep = Path("/srv") / ("x" * 120)

        short = socket_directory(deep)

        assert short.parent == Path("/tmp")
        assert short == socket_directory(deep)
        assert short != socket_directory(deep / "other")
        assert not short.exists()

    @pytest.mark.parametrize("length", [80, 87, 88, 89, 120])
    def test_a_socket_of_every_length_can_be_bound(self, length: int) -> None:
        folder = socket_directory(Path("/" + "y" * (length - 1)))

        assert len(os.fsencode(folder / ".s.PGSQL.5432")) <= 103

    @pytest.mark.parametrize("name", ["a,b", 'a"b', "a'b"])
    def test_a_path_that_postgresql_would_misread_gets_another_folder(self, name: str) -> None:
        assert socket_directory(Path("/srv") / name).parent == Path("/tmp")


class TestPorts:
    def test_a_taken_port_is_refused_with_its_purpose(self) -> None:
        with (
            socket.create_server(("127.0.0.1", 0)) as taken,
            pytest.raises(
                DevServerError,
                match="needed for the shop itself, is unavailable: Address already in use",
            ),
        ):
            require_free_port(taken.getsockname()[1], purpose="the shop itself")

    def test_a_free_port_is_not_refused(self) -> None:
        require_free_port(free_port(), purpose="the shop itself")

    @pytest.mark.parametrize("port", [0, 65_536])
    def test_a_port_that_does_not_exist_is_refused(self, port: int) -> None:
        with pytest.raises(DevServerError, match="does not exist"):
            require_free_port(port, purpose="Valkey")
