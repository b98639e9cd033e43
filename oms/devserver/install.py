"""Installs requirement files with pip, showing how far it is instead of what pip says.

Runs as a script in a new virtual environment, so it may import nothing but the standard library.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

_LINE_EVERY_SECONDS = 5.0


def pinned(path: Path) -> int:
    """How many packages the requirement file at `path` names, with the files it includes."""
    count = 0
    for line in path.read_text().splitlines():
        if line.startswith("-r "):
            count += pinned(path.parent / line.removeprefix("-r ").strip())
        elif line.strip() and not line.startswith("#"):
            count += 1
    return count


class Progress:
    """One line that is written over on a terminal; elsewhere a line now and then."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._last = 0.0

    def show(self, text: str, *, always: bool = False) -> None:
        """Show `text`; off a terminal only if some time has passed, unless `always`."""
        if self._terminal:
            print(f"\r\033[K  {text}", end="", flush=True)
        elif always or time.monotonic() - self._last > _LINE_EVERY_SECONDS:
            self._last = time.monotonic()
            print(f"  {text}", flush=True)

    def done(self, text: str) -> None:
        """Show `text` as the last word."""
        self.show(text, always=True)
        if self._terminal:
            print()


def main(path: Path) -> int:
    """Install what the file at `path` names; returns pip's exit code."""
    total = pinned(path)
    started = time.monotonic()
    progress = Progress()
    progress.show(f"Installing {path}: {total} packages", always=True)
    pip = subprocess.Popen(
        [
            *(sys.executable, "-m", "pip", "install", "--requirement", str(path)),
            *("--disable-pip-version-check", "--no-input", "--progress-bar", "off"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said: list[str] = []
    seen = 0
    for line in pip.stdout or ():
        said.append(line)
        if line.startswith(("Collecting ", "Requirement already satisfied: ")):
            seen = min(seen + 1, total)
            name = line.removeprefix("Collecting ").removeprefix("Requirement already satisfied: ")
            progress.show(f"[{seen}/{total}] {name.split(' ')[0].strip()}")
        elif line.startswith("Installing collected packages"):
            progress.show(f"Unpacking {total} packages", always=True)
    code = pip.wait()
    if code:
        progress.done(f"pip failed (exit code {code}); it said:")
        print("".join(said[-40:]))
    else:
        progress.done(f"Installed {path} in {time.monotonic() - started:.0f} s")
    return code


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1])))
    except KeyboardInterrupt:
        print("\n  Interrupted; the next `make` goes on from here.")
        sys.exit(130)
