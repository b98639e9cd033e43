"""Which limits a request counts against, and the counting.

The counters are sliding windows in Redis, shared by all processes. Without Redis each process
counts for itself: a limit is then looser, and nothing waits or fails.
"""

from __future__ import annotations

import hashlib
import math
import time
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import structlog
from django.conf import settings
from django.http import HttpRequest
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from oms.core.errors import Invalid
from oms.http.addresses import address_group
from oms.http.bodies import body_fault
from oms.http.identity import identify
from oms.http.payloads import decode

log = structlog.get_logger(__name__)

REGISTER = ("POST", "/api/v1/users")
TOKEN = ("POST", "/api/v1/auth/token")
BACK_OFFICE_LOGIN = ("POST", "/admin/login/")
PLACE = {("POST", "/api/v1/orders"), ("POST", "/api/v1/orders/bulk")}
# Calls of payment providers: they come in bursts from one address, and their signatures guard them.
UNLIMITED = ("/api/v1/payments/webhooks/",)

# After Redis failed, it is left alone for that many seconds.
_PAUSE = 5.0
_redis_closed_until = 0.0
_memory = SlidingWindowCounterRateLimiter(MemoryStorage())


@dataclass(frozen=True, kw_only=True)
class Limit:
    """One limit that a request counts against; `name` is its key in settings.RATE_LIMITS."""

    name: str
    subject: str


@dataclass(frozen=True, kw_only=True)
class Counted:
    """A limit after a request was counted: `amount` in `window` seconds, `remaining` of it now."""

    name: str
    allowed: bool
    amount: int
    window: int
    remaining: int
    reset_in: int


def limits_for(request: HttpRequest) -> Iterator[Limit]:
    """The limits that `request` counts against; outside /api only logins have any.

    The two ways to log in share their limits: guessing at both is no faster than at one.
    """
    address = address_group(getattr(request, "client_address", None))
    route = (request.method, request.path)
    if route in (TOKEN, BACK_OFFICE_LOGIN):
        yield Limit(name="token_address", subject=address)
        if account := _account(request):
            yield Limit(name="token_account", subject=account)
    elif not request.path.startswith("/api/") or request.path.startswith(UNLIMITED):
        return
    elif route == REGISTER:
        yield Limit(name="register_address", subject=address)
    elif (user_id := identify(request).user_id) is not None:
        name = "place_user" if route in PLACE else "general_user"
        yield Limit(name=name, subject=str(user_id))
    else:
        yield Limit(name="general_address", subject=address)


def count(limit: Limit) -> Counted:
    """Count one request against `limit`."""
    global _redis_closed_until
    if time.monotonic() >= _redis_closed_until:
        try:
            return _count(limit, _redis(settings.REDIS_URL))
        except (RedisError, OSError) as error:
            _redis_closed_until = time.monotonic() + _PAUSE
            log.warning("rate_limits_without_redis", error=type(error).__name__)
    return _count(limit, _memory)


def _count(limit: Limit, limiter: SlidingWindowCounterRateLimiter) -> Counted:
    item = _item(settings.RATE_LIMITS[limit.name])
    allowed = limiter.hit(item, limit.name, limit.subject)
    stats = limiter.get_window_stats(item, limit.name, limit.subject)
    return Counted(
        name=limit.name,
        allowed=allowed,
        amount=item.amount,
        window=item.get_expiry(),
        remaining=stats.remaining,
        reset_in=max(1, math.ceil(stats.reset_time - time.time())),
    )


@lru_cache
def _item(rate: str) -> RateLimitItem:
    return parse(rate)


@lru_cache
def _redis(url: str) -> SlidingWindowCounterRateLimiter:
    options: dict[str, Any] = {
        "socket_timeout": 1,
        "socket_connect_timeout": 1,
        # The library's own default waits for seconds; once more is for a connection gone stale.
        "retry": Retry(NoBackoff(), retries=1),
    }
    storage = RedisStorage(url, key_prefix="limits", **options)
    return SlidingWindowCounterRateLimiter(storage)


def _account(request: HttpRequest) -> str | None:
    """A digest of the account that a login names; None if it names none.

    The body is read again by the view, which says what is wrong with it.
    """
    if body_fault(request):
        return None
    email = _api_email(request) if request.path.startswith("/api/") else _form_email(request)
    if not isinstance(email, str):
        return None
    # As Django's form folds it: whatever finds the same account must be the same here.
    folded = unicodedata.normalize("NFKC", email).strip().lower()
    return hashlib.sha256(folded.encode(errors="replace")).hexdigest()


def _api_email(request: HttpRequest) -> object:
    try:
        body = decode(request.body)
    except Invalid:
        return None
    return body.get("email") if isinstance(body, dict) else None


def _form_email(request: HttpRequest) -> object:
    return request.POST.get("username") or None
