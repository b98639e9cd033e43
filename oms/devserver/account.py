"""The user that runs the local PostgreSQL.

PostgreSQL refuses to run as root. For an ordinary user it runs under that user; for root it runs as
`nobody`, who usually cannot enter the folders of the binaries and the data (such as a virtual
environment under /root). Changing their permissions would expose them to others, so the server
keeps the single capability to bypass permission bits (CAP_DAC_OVERRIDE).
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from oms.devserver.errors import DevServerError


@dataclass(frozen=True, kw_only=True)
class Account:
    """How to start a process as a user."""

    user: int
    group: int
    prefix: tuple[str, ...] = ()
    """Comes before the command."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of Popen."""


@cache
def server_account(initdb: Path) -> Account:
    """The account that runs PostgreSQL, whose program `initdb` is at the given path.

    Raises DevServerError for root if no other user can run it.
    """
    if os.geteuid() != 0:
        return Account(user=os.getuid(), group=os.getgid())
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError as error:
        raise DevServerError(
            "PostgreSQL does not run as root, and this machine has no user `nobody` to run it as. "
            "Run the command as an ordinary user, or set DATABASE_URL."
        ) from error
    user, group = nobody.pw_uid, nobody.pw_gid
    plain = Account(
        user=user, group=group, options={"user": user, "group": group, "extra_groups": []}
    )
    with_capability = Account(
        user=user,
        group=group,
        prefix=(
            shutil.which("setpriv") or "setpriv",
            f"--reuid={user}",
            f"--regid={group}",
            "--clear-groups",
            "--inh-caps=+dac_override",
            "--ambient-caps=+dac_override",
            # Otherwise access(2), by which PostgreSQL checks its files, ignores the capability.
            "--securebits=+no_setuid_fixup",
        ),
    )
    for account in (with_capability, plain):
        if _can_run(account, initdb):
            return account
    raise DevServerError(
        f"PostgreSQL does not run as root, and the user `nobody` cannot reach {initdb}. "
        "Run the command as an ordinary user, move the project to a folder that everyone may "
        "enter, or set DATABASE_URL."
    )


def _can_run(account: Account, initdb: Path) -> bool:
    """Whether `initdb` starts and finds the other programs; it writes nothing."""
    try:
        subprocess.run(
            [*account.prefix, str(initdb), "--show", "--locale=C", "--pgdata=/nonexistent"],
            check=True,
            capture_output=True,
            cwd="/",
            timeout=20,
            **account.options,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return True
