"""Where the embedded PostgreSQL has its Unix socket."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

# sun_path holds 108 bytes on Linux and 104 on macOS, with the closing NUL.
_LONGEST_SOCKET_PATH = 103
_SOCKET_NAME = ".s.PGSQL.5432"
# A comma separates hosts for libpq, and both of them quote in PostgreSQL's list of directories.
_AMBIGUOUS = frozenset(",\"'\\")
# Not tempfile.gettempdir(): it tries the folder by writing to it, and it follows TMPDIR, which may
# differ between the process that starts the server and one that looks for it.
_SHORT_PARENT = Path("/tmp")  # noqa: S108


def socket_directory(pgdata: Path) -> Path:
    """The folder of the socket of the server whose data are in `pgdata`.

    It is the data folder itself, or, where that path is too long for a socket, a folder in /tmp
    named after the path and the user. Computes only; nothing is created or looked up.
    """
    path = os.path.abspath(pgdata)
    socket_length = len(os.fsencode(os.path.join(path, _SOCKET_NAME)))
    if socket_length <= _LONGEST_SOCKET_PATH and not _AMBIGUOUS.intersection(path):
        return Path(path)
    digest = hashlib.sha256(os.fsencode(f"{os.getuid()}:{path}")).hexdigest()[:20]
    return _SHORT_PARENT / f"oms-postgres-{digest}"
