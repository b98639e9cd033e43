"""Child processes that end with this process, even if it is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oms.devserver import reaper

# More than it grants to what it stops.
_REAPER_SECONDS = 10.0


@dataclass(kw_only=True)
class Service:
    """A server that runs on this machine: where it is reached, and its process."""

    url: str
    log: Path
    launch: Callable[[], subprocess.Popen[bytes]]
    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self.process.pid

    def start_again(self) -> subprocess.Popen[bytes]:
        """Start it again after its end, without waiting until it is ready."""
        self.process = self.launch()
        return self.process


class ChildProcesses:
    """Starts and stops child processes, each in a session of its own.

    A separate process (reaper.py) stops those that still run when this process has died.
    """

    def __init__(self) -> None:
        self._reaper = subprocess.Popen(
            [sys.executable, "-I", "-S", reaper.__file__, str(os.getpid())],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in the terminal must not reach it
        )

    @property
    def reaper_pid(self) -> int:
        return self._reaper.pid

    def start(
        self,
        command: Sequence[str],
        *,
        stop_signal: signal.Signals = signal.SIGTERM,
        **options: Any,
    ) -> subprocess.Popen[bytes]:
        """Start a process; `options` are those of Popen.

        `stop_signal` is what its process group gets if this process dies.
        """
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **options,
        )
        self._send(f"watch {process.pid} {int(stop_signal)}")
        return process

    def stop(
        self, process: subprocess.Popen[bytes], *signals: signal.Signals, seconds: float
    ) -> None:
        """Send the signals, `seconds` apart, until the process ends; then kill what is left."""
        for number in signals:
            process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=seconds)
                break
        self.kill(process)

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """End the process and its children, which may have outlived it, by SIGKILL."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._send(f"forget {process.pid}")

    def remove_at_end(self, folder: Path) -> None:
        """Remove `folder` when this process has ended, however it ends."""
        self._send(f"remove {folder}")

    def close(self) -> None:
        """Stop what still runs, and the reaper, which takes some seconds at most."""
        self._reaper.send_signal(signal.SIGCONT)  # it may have been stopped
        try:
            self._reaper.communicate(timeout=_REAPER_SECONDS)
        except subprocess.TimeoutExpired:
            self._reaper.kill()
            self._reaper.communicate()

    def _send(self, line: str) -> None:
        assert self._reaper.stdin is not None
        # If the reaper itself was killed, nothing but the clean-up after a crash is lost.
        with contextlib.suppress(BrokenPipeError):
            self._reaper.stdin.write(f"{line}\n".encode())
            self._reaper.stdin.flush()
