"""Where the settings come from: the environment, and secrets that a development copy keeps."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parents[2]
env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")

DEBUG = env.bool("DEBUG", default=False)

# Everything a development copy keeps: the embedded database, mail files, logs, its own secrets.
VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var")))

# PORT moves all of them.
PORT = env.int("PORT", default=8000)
SANDBOX_PORT = env.int("SANDBOX_PORT", default=PORT + 1)
VALKEY_PORT = PORT + 2


def secret(name: str) -> str:
    """The secret called `name` from the environment.

    With DEBUG on, a missing one is made once and kept in var/secrets/, so that every process of a
    development copy agrees on it. Without DEBUG a missing secret stops the start.
    """
    if value := env.str(name, default=""):
        return value
    if not DEBUG:
        raise ImproperlyConfigured(f"{name} must be set when DEBUG is off.")
    path = VAR_DIR / "secrets" / name.lower()
    try:
        if not path.exists():
            _keep(secrets.token_urlsafe(48), path)
        return path.read_text().strip()
    except PermissionError as error:
        raise ImproperlyConfigured(
            f"{path} belongs to another user, probably because the shop was run as root before. "
            f"Run it as that user again, or remove {VAR_DIR}."
        ) from error


def _keep(text: str, path: Path) -> None:
    """Write `text` to a new file for the owner alone, unless another process was quicker.

    The file appears whole: whoever finds it may read it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent) as file:
        file.write(text)
        file.flush()
        with contextlib.suppress(FileExistsError):
            os.link(file.name, path)
