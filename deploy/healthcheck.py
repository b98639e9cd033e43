"""Ends what hangs in this container, so that it is started again; exits with 1 if it is unhealthy.

Docker only marks a container as unhealthy and leaves it alone. With --http the web server must also
answer.
"""

from __future__ import annotations

import http.client
import json
import os
import runpy
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path

import psutil

_ROOT = Path(__file__).parents[1]
# By its path: importing the package would load Celery, every ten seconds in each container.
_Watchdog = runpy.run_path(str(_ROOT / "oms" / "devserver" / "watchdog.py"))["Watchdog"]


def main() -> int:
    """Look once; what the looks before this one saw is in a file."""
    folder = Path(os.environ.get("VAR_DIR", "var")) / "run"
    looks, unfinished = folder / "looks.json", folder / "looks.unfinished"
    watchdog = _Watchdog(folder / "heartbeats", stopped_looks=2, silent_looks=4)
    with suppress(OSError, ValueError):  # this is the first look
        watchdog.signs = json.loads(looks.read_text())
    frozen = watchdog.frozen(psutil.process_iter())
    with suppress(OSError):  # such as a full disk; the next look is a first one
        folder.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(json.dumps(watchdog.signs))
        unfinished.replace(looks)
    for process in frozen:
        print(f"Ending process {process.pid}, which does not respond.")  # noqa: T201
        process.kill()
    return int(bool(frozen) or ("--http" in sys.argv and not _responds()))


def _responds() -> bool:
    # A host that Django accepts: the address itself need not be in ALLOWED_HOSTS.
    host = os.environ.get("ALLOWED_HOSTS", "").split(",")[0].lstrip(".") or "localhost"
    request = urllib.request.Request(
        f"http://127.0.0.1:{os.environ.get('PORT', '8000')}/health",
        headers={"Host": "localhost" if host == "*" else host},
    )
    try:
        urllib.request.urlopen(request, timeout=4).close()  # noqa: S310
    except (OSError, http.client.HTTPException):
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
