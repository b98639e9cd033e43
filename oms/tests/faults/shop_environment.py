"""The environment variables of a shop."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from oms.tests.faults.ports import with_ports

# The limits are not what is tested here, and all clients share an address.
_NO_LIMITS = {
    f"RATE_LIMIT_{name}": "1000000/minute"
    for name in ("REGISTER", "TOKEN", "TOKEN_ACCOUNT", "PASSWORD", "PLACE", "USER", "ANONYMOUS")
}
# Whatever the shell or the checkout's .env says: an empty value is one that is not set.
_DEFAULTS = dict.fromkeys(
    ("DATABASE_URL", "REDIS_URL", "EMAIL_URL", "SANDBOX_PROVIDER_URL", "SANDBOX_WEBHOOK_URL"), ""
) | {"HTTPS": "0"}
# As REDIS_URL of an experiment's environment: a Valkey that the experiment stops and starts,
# instead of the one that `make run` keeps running.
OWN_VALKEY = "own"


def environment_of(
    *, project: Path, folder: Path, port: int, more: Mapping[str, str]
) -> dict[str, str]:
    """The variables of `make run` of the checkout `project`, with its data in `folder`.

    `more` may say "PORT+1" and the like for the ports after the first.
    """
    return {
        **os.environ,
        **_DEFAULTS,
        **_NO_LIMITS,
        "DEBUG": "1",
        "LOG_FORMAT": "json",
        "PORT": str(port),
        "VAR_DIR": str(folder),
        "PATH": f"{project / '.venv/bin'}{os.pathsep}{os.environ['PATH']}",
        **{name: with_ports(text, port) for name, text in more.items()},
    }
