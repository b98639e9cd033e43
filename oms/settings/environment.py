"""Reads settings from the environment; generates the secrets of a development copy."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parents[2]
env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")

DEBUG = env.bool("DEBUG", default=False)

# All files of a development copy: the local database, mail, logs, generated secrets.
VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var")))
# While the processes run: their heartbeats, and their states as `manage.py up` sees them.
RUN_DIR = VAR_DIR / "run"

# The other ports follow PORT.
PORT = env.int("PORT", default=8000)
SANDBOX_PORT = env.int("SANDBOX_PORT", default=PORT + 1)
VALKEY_PORT = PORT + 2


# Whether a missing DATABASE_URL or REDIS_URL means the servers that `manage.py up` starts itself.
LOCAL_SERVICES = env.bool("LOCAL_SERVICES", default=DEBUG)


def service_url(name: str, *, local: Callable[[], str]) -> str:
    """The URL called `name` from the environment, else the one of the local server.

    Raises ImproperlyConfigured where nothing is set and local servers are not used: a production
    process must not fall back to a server on its own machine.
    """
    if value := env.str(name, default=""):
        return value
    if not LOCAL_SERVICES:
        raise ImproperlyConfigured(f"{name} must be set when DEBUG is off.")
    return local()


def secret(name: str) -> str:
    """The secret called `name` from the environment.

    With DEBUG on, a missing secret is generated once and stored in var/secrets/, so that all
    processes of a development copy share it. Raises ImproperlyConfigured without DEBUG.
    """
    if value := env.str(name, default=""):
        return value
    if not DEBUG:
        raise ImproperlyConfigured(f"{name} must be set when DEBUG is off.")
    path = VAR_DIR / "secrets" / name.lower()
    try:
        if not path.exists():
            _store(secrets.token_urlsafe(48), path)
        return path.read_text().strip()
    except PermissionError as error:
        raise ImproperlyConfigured(
            f"{path} belongs to another user, probably because the shop was run as root before. "
            f"Run it as that user again, or remove {VAR_DIR}."
        ) from error


def check_signing_keys(name: str, keys: Sequence[str]) -> None:
    """Raise ImproperlyConfigured for a key of fewer than 32 bytes (RFC 7518, section 3.2).

    It could be found from one signature. `name` is that of the setting.
    """
    if any(len(key.encode()) < 32 for key in keys):
        raise ImproperlyConfigured(f"{name} and its fallbacks must have at least 32 characters.")


def _store(text: str, path: Path) -> None:
    """Write `text` to a new file readable by its owner only, unless another process was first.

    The file is linked into place when complete, so that readers never see a part of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent) as file:
        file.write(text)
        file.flush()
        with contextlib.suppress(FileExistsError):
            os.link(file.name, path)
