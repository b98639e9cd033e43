"""The production settings, except for what would only make tests slow."""

from __future__ import annotations

from oms.settings import *  # noqa: F403
from oms.settings import DATABASES, PASSWORD_HASHERS, STORAGES

DATABASES["default"]["ENGINE"] = "oms.testing.postgresql"

# Argon2 is slow on purpose. It stays available for the tests that need it.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", *PASSWORD_HASHERS]

# Without a collectstatic before.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True
STORAGES = STORAGES | {
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
}
