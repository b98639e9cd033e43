"""The web server: granian, stopped in an order that a load balancer can follow.

Its own command line limits the keep-alive timeout to a minute, and closes the port at once when it
is stopped.
"""

from __future__ import annotations

import os
import resource
from argparse import ArgumentParser
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Timer
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels

from oms.core.liveness import closing_file, stopping_file

# Granian has one timeout for an idle connection and for the headers of a request. It must be longer
# than a proxy keeps idle connections, usually 60 seconds, or the proxy sends to closed ones.
_KEEP_ALIVE_SECONDS = 75
# Connections of one worker, idle ones and streams too.
_MAX_CONNECTIONS = 8_192
_MAX_FILES = 16_384
# In which streams end by themselves before the port closes.
_STREAM_SECONDS = 0.5


class Server(Granian):  # type: ignore[misc,valid-type]  # granian has no types
    """Granian; at SIGTERM readiness fails first, and the port is closed `close_delay` later."""

    def __init__(self, *arguments: Any, close_delay: float, run_folder: Path, **options: Any):
        super().__init__(*arguments, **options)
        self._close_delay = close_delay
        self._stopping = stopping_file(run_folder, os.getpid())
        self._closing = closing_file(run_folder, os.getpid())
        # At the start they may be those of a process with the same id, killed while it stopped.
        for hook in (self.on_startup, self.on_shutdown):
            for file in (self._stopping, self._closing):
                hook(partial(file.unlink, missing_ok=True))

    def signal_handler_interrupt(self, *arguments: Any, **options: Any) -> None:
        """Stop after the pause, at a second signal at once."""
        if self._stopping.exists():
            super().signal_handler_interrupt()
            return
        with suppress(OSError):  # a full disk
            self._stopping.parent.mkdir(parents=True, exist_ok=True)
            self._stopping.touch()
        _later(self._close_delay, self._end_streams)

    def _end_streams(self) -> None:
        """Let the workers end their streams: granian would wait for them, or just cut them."""
        with suppress(OSError):
            self._closing.touch()
        _later(_STREAM_SECONDS, super().signal_handler_interrupt)


def _later(seconds: float, action: Callable[[], None]) -> None:
    timer = Timer(seconds, action)
    timer.daemon = True
    timer.start()


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = ArgumentParser(prog="python -m oms.granian_server", description=__doc__)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--stop-seconds", type=int, required=True, help="for requests to finish")
    parser.add_argument("--close-delay", type=float, required=True, help="before the port closes")
    parser.add_argument("--run-folder", type=Path, required=True)
    options = parser.parse_args()
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = hard_limit == resource.RLIM_INFINITY
    files = _MAX_FILES if unlimited else min(_MAX_FILES, hard_limit)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard_limit))
    Server(
        "oms.asgi:application",
        close_delay=options.close_delay,
        run_folder=options.run_folder,
        address=options.host,
        port=options.port,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        # Recognising HTTP/2 costs 12 KB for each open connection (granian 2.8.7).
        http=HTTPModes.http1,
        websockets=True,
        workers=options.workers,
        workers_kill_timeout=options.stop_seconds,
        respawn_failed_workers=True,
        backpressure=_MAX_CONNECTIONS,
        http1_settings=HTTP1Settings(header_read_timeout=_KEEP_ALIVE_SECONDS * 1_000),
        log_level=LogLevels.warning,
    ).serve()


if __name__ == "__main__":
    main()
