"""How dear a guess at a password is."""

from __future__ import annotations

from django.contrib.auth.hashers import Argon2PasswordHasher


class PasswordHasher(Argon2PasswordHasher):
    """Argon2id as the OWASP Password Storage Cheat Sheet sets it: 19 MiB, two passes, one lane.

    Hashes made with other parameters are still good; the next login makes them anew with these.
    Why not Django's own, which cost nine times as much: docs/decisions/0014-password-hashing.md.
    """

    time_cost = 2
    memory_cost = 19 * 1024  # KiB
    parallelism = 1
