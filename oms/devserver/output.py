"""The lines that `make run` shows, printed by a thread of their own.

What has a line to show never waits for a terminal that is paused (Ctrl-S, `make run | less`): first
its pipe would fill, then the pipes of the processes that write to it, which would all stop.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from datetime import datetime
from typing import IO

from honcho.printer import Message, Printer

MOST_WAITING = 10_000
"""As many lines wait at most; further ones are dropped, and counted."""


class Output:
    """Prints lines to `stream`, those of processes with a time and a name before each."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream, self._printer = stream, Printer(stream)
        self._waiting: deque[Message | str] = deque()
        self._dropped = 0
        self._is_closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="output", daemon=True)
        self._thread.start()

    def leave_room_for(self, name: str) -> None:
        """Let the lines of all processes begin as far to the right as those of `name`."""
        self._printer.width = max(self._printer.width, len(name))

    def show_line(self, line: bytes, *, name: str, colour: str) -> None:
        """Print a line of the process `name` soon, unless too many lines wait already."""
        now = datetime.now().astimezone()
        self.show(Message(type="line", data=line, time=now, name=name, colour=colour))

    def show(self, text: Message | str) -> None:
        """Print a text as it is; like `show_line`."""
        with self._changed:
            if len(self._waiting) >= MOST_WAITING:
                self._dropped += 1
                return
            if self._dropped:
                self._waiting.append(f"({self._dropped} lines were dropped: nobody read them)")
                self._dropped = 0
            self._waiting.append(text)
            self._changed.notify()

    def close(self, *, seconds: float) -> None:
        """Print what waits, for so many seconds at most."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join(timeout=seconds)

    def _run(self) -> None:
        while (text := self._next()) is not None:
            # The other end may be closed (`make run | head`).
            with contextlib.suppress(OSError):
                if isinstance(text, str):
                    print(text, file=self._stream, flush=True)
                else:
                    self._printer.write(text)

    def _next(self) -> Message | str | None:
        """The next text to print, once there is one; None at the end."""
        with self._changed:
            while not self._waiting:
                if self._is_closing:
                    return None
                self._changed.wait()
            return self._waiting.popleft()
