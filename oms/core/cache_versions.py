"""Stamps in Redis: random words by which processes know whether their copies still hold.

Whoever changes something renews its stamp once that is committed. Whoever keeps a copy asks for the
stamp before reading, and uses the copy for as long as the stamp is the same. So what was read
before a commit is never taken for what was read after it, however late it is stored. A stamp that
Redis has lost is made anew, which costs the copies and nothing else.
"""

from __future__ import annotations

import secrets
from functools import cache

import structlog
from django.conf import settings
from django.db import transaction
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

log = structlog.get_logger(__name__)


def key_of(name: str) -> str:
    """The key in Redis of the stamp called `name`."""
    return f"stamp:{name}"


def new_stamp() -> str:
    """A stamp that never was before."""
    return secrets.token_hex(8)


def renew_on_commit(name: str) -> None:
    """Renew the stamp once this has committed.

    A process that dies in between, or finds no Redis, leaves the stamp as it was: so copies need an
    end of their own too.
    """
    transaction.on_commit(lambda: renew(name), robust=True)


def renew(name: str) -> None:
    """Let no copy of what is called `name` be used any more. Never fails."""
    try:
        _redis(settings.REDIS_URL).set(key_of(name), new_stamp())
    except (RedisError, OSError) as error:
        log.warning("stamp_not_renewed", stamp=name, error=type(error).__name__)


@cache
def _redis(url: str) -> Redis:
    return Redis.from_url(
        url,
        socket_timeout=1,
        socket_connect_timeout=1,
        # The library's own default waits for seconds; once more is for a connection gone stale.
        retry=Retry(NoBackoff(), retries=1),
    )
