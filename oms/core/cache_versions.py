"""Cache versions in Redis: random values by which processes know whether their copies are current.

A writer renews the version once its change has committed. A reader fetches the version before it
reads, and uses its copy as long as the version is the same, so what was read before a commit is
never served as current after it. A version that Redis has lost is created again, which only
invalidates copies.
"""

from __future__ import annotations

import secrets

import structlog
from django.conf import settings
from django.db import transaction

from oms.core.redis import ERRORS, redis_client

log = structlog.get_logger(__name__)


def version_key(name: str) -> str:
    """The key in Redis of the version called `name`."""
    return f"cache-version:{name}"


def new_version() -> str:
    """A version that was never used before."""
    return secrets.token_hex(8)


def renew_on_commit(name: str) -> None:
    """Renew the version once the transaction has committed.

    A process that dies in between, or finds no Redis, leaves the version as it was, so copies need
    an expiry of their own too.
    """
    transaction.on_commit(lambda: renew(name), robust=True)


def renew(name: str) -> None:
    """Invalidate all copies of what is called `name`. Never fails."""
    try:
        redis_client(settings.REDIS_URL).set(version_key(name), new_version())
    except ERRORS as error:
        log.warning("cache_version_not_renewed", name=name, error=type(error).__name__)
