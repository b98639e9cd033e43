"""Password hashing parameters."""

from __future__ import annotations

from django.contrib.auth.hashers import Argon2PasswordHasher


class PasswordHasher(Argon2PasswordHasher):
    """Argon2id with parameters of the OWASP Password Storage Cheat Sheet.

    Hashes with other parameters stay valid, and are replaced at the next login. Why not Django's
    defaults: docs/decisions/0014-password-hashing.md.
    """

    time_cost = 2
    memory_cost = 19 * 1024  # KiB
    parallelism = 1
