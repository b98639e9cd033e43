"""As whom the embedded PostgreSQL runs.

PostgreSQL refuses to run as root. An ordinary user runs it as himself; root runs it as `nobody`.
`nobody` usually may not enter the folders that lead to the binaries and to the data (a virtual
environment under /root, for one). Opening those folders would change what others may see, so the
server instead keeps the one capability to pass by permission bits (CAP_DAC_OVERRIDE).
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from oms.devserver.errors import EmbeddedServiceError


@dataclass(frozen=True, kw_only=True)
class Account:
    """How to start a process as the server's user."""

    prefix: tuple[str, ...] = ()
    """Words to put before the command."""
    user: int | None = None
    """The user's number where it differs from ours; else None."""
    group: int | None = None
    switched_by_python: bool = False
    """Whether subprocess itself must change the user, for want of a prefix."""

    def popen_arguments(self) -> dict[str, Any]:
        """The arguments by which subprocess starts a process as this account."""
        if not self.switched_by_python:
            return {}
        return {"user": self.user, "group": self.group, "extra_groups": []}

    def give(self, folder: Path) -> None:
        """Make `folder` the property of this account."""
        if self.user is not None and self.group is not None:
            os.chown(folder, self.user, self.group)


@cache
def server_account(initdb: Path) -> Account:
    """The account that runs PostgreSQL, whose program `initdb` is at the given path.

    Raises EmbeddedServiceError if we are root and cannot hand it to another user.
    """
    if os.geteuid() != 0:
        return Account()
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError as error:
        raise EmbeddedServiceError(
            "PostgreSQL does not run as root, and this machine has no user `nobody` to run it as. "
            "Run the command as an ordinary user, or give a DATABASE_URL."
        ) from error
    user, group = nobody.pw_uid, nobody.pw_gid
    candidates = [Account(user=user, group=group, switched_by_python=True)]
    if setpriv := shutil.which("setpriv"):
        prefix = (
            setpriv,
            f"--reuid={user}",
            f"--regid={group}",
            "--clear-groups",
            "--inh-caps=+dac_override",
            "--ambient-caps=+dac_override",
            # Else access(2) would leave that capability out, and PostgreSQL asks it about itself.
            "--securebits=+no_setuid_fixup",
        )
        candidates.insert(0, Account(prefix=prefix, user=user, group=group))
    for account in candidates:
        if _can_run(account, initdb):
            return account
    raise EmbeddedServiceError(
        f"PostgreSQL does not run as root, and the user `nobody` cannot reach {initdb}. "
        "Run the command as an ordinary user, move the project to a folder that everyone may "
        "enter, or give a DATABASE_URL."
    )


def _can_run(account: Account, initdb: Path) -> bool:
    """Whether `initdb` starts and finds its fellow programs; it writes nothing."""
    try:
        subprocess.run(
            [*account.prefix, str(initdb), "--show", "--locale=C", "--pgdata=/nonexistent"],
            check=True,
            capture_output=True,
            cwd="/",
            timeout=20,
            **account.popen_arguments(),
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return True
