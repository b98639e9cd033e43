"""Ending a process that was started here."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from signal import Signals


def end(process: subprocess.Popen[bytes], *, by: Sequence[Signals], seconds: float) -> None:
    """Send the first signal of `by`, and each further one after `seconds` without an end.

    Returns once the process has ended, or `seconds` after the last signal.
    """
    for number in by:
        process.send_signal(number)
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            continue
        return
