"""Redis or Valkey, and one circuit breaker for all that a process asks of it.

Orders are placed without it, so it may be away, but waiting for it in vain would cost more than it
gives: a socket's timeout for each request. After a failure all calls of the process fail at once,
until a thread in the background has got an answer again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cache
from threading import Lock, Thread
from typing import Any, Self

import structlog
from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisError, TimeoutError
from redis.retry import Retry

log = structlog.get_logger(__name__)

ERRORS = (RedisError, OSError)
"""What a call raises while the server is away."""

# Seconds for an answer, and between two attempts while the server is away.
_TIMEOUTS: Mapping[str, Any] = {"socket_timeout": 1.0, "socket_connect_timeout": 1.0}
_PAUSE = 1.0


class RedisBreaker:
    """Open while the server is away; the `probe`, called in the background, closes it.

    `probe` raises one of ERRORS until the server answers.
    """

    def __init__(self, probe: Callable[[], object]) -> None:
        self._probe = probe
        self._lock = Lock()
        self._is_open = False
        self._prober: Thread | None = None

    @property
    def is_open(self) -> bool:
        """Whether calls fail at once."""
        # A process that was forked meanwhile has no thread that would close it.
        if self._is_open and not (self._prober is not None and self._prober.is_alive()):
            self._start()
        return self._is_open

    def open(self, error: Exception) -> None:
        """Let calls fail at once from now on, because one failed with `error`."""
        if not self._is_open:
            log.warning("redis_unavailable", error=type(error).__name__)
            self._start()

    def _start(self) -> None:
        with self._lock:
            if self._prober is None or not self._prober.is_alive():
                self._is_open = True
                self._prober = Thread(target=self._run, name="redis-probe", daemon=True)
                self._prober.start()

    def _run(self) -> None:
        while True:
            time.sleep(_PAUSE)
            try:
                self._probe()
            except ERRORS:
                continue
            self._is_open = False
            log.info("redis_available")
            return


class GuardedRetry(Retry):
    """The policy of a client under the circuit breaker of its server: one retry, at once.

    The retry is for a connection that has gone stale.
    """

    def __init__(self, url: str) -> None:
        # Not after a timeout: it would take as long again.
        super().__init__(NoBackoff(), retries=1, supported_errors=(ConnectionError,))
        self._breaker = breaker(url)

    def __deepcopy__(self, memo: Any) -> GuardedRetry:
        return self  # each connection copies it

    def call_with_retry(self, *args: Any, **options: Any) -> Any:
        """The result of the call; raises ConnectionError at once while the server is away."""
        if self._breaker.is_open:
            raise ConnectionError("Redis is unavailable.")
        try:
            return super().call_with_retry(*args, **options)
        except (ConnectionError, TimeoutError, OSError) as error:
            self._breaker.open(error)
            raise


class GuardedPool(ConnectionPool):
    """Connections under the circuit breaker, which wait for a second at most."""

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """The pool of the server at `url`; `options` are those of its connections."""
        return super().from_url(url, **{**_TIMEOUTS, "retry": GuardedRetry(url), **options})


@cache
def redis_client(url: str) -> Redis:
    """The client of this process for the server at `url`."""
    return Redis(connection_pool=GuardedPool.from_url(url))


@cache
def breaker(url: str) -> RedisBreaker:
    """The circuit breaker of this process for the server at `url`."""

    def probe() -> None:
        with Redis.from_url(url, **_TIMEOUTS, retry=Retry(NoBackoff(), retries=0)) as client:
            client.ping()

    return RedisBreaker(probe)
