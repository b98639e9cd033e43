"""Which limits a request counts against, and the counting.

The counters are sliding windows in Redis, shared by all processes. Without Redis each process
counts for itself: a limit is then looser, and nothing waits or fails.
"""

from __future__ import annotations

import hashlib
import time
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import structlog
from django.conf import settings
from django.http import HttpRequest
from redis import Redis
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.exceptions import RedisError
from redis.retry import Retry

from oms.core.cache_versions import key_of, new_stamp
from oms.core.errors import Invalid
from oms.http.addresses import address_group
from oms.http.bodies import body_fault
from oms.http.identity import identify
from oms.http.local_counters import LocalCounters
from oms.http.payloads import decode
from oms.http.problems import Problem

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
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}

# A sliding window counter: the requests of this window, and of the one before in the share in which
# it is still in sight. Each key is a hash of the window's number (w), its count (c) and the count
# before (p). The clock is Redis' own, so that all processes agree.
_COUNT = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local states = {}
local stamp = #ARGV % 2 == 1 and ARGV[#ARGV]
if stamp then
    -- The last key is that of a stamp; see oms/core/cache_versions.py.
    local key = table.remove(KEYS)
    states[#KEYS + 1] = redis.call('GET', key) or stamp
    redis.call('SET', key, stamp, 'NX')
end
for i, key in ipairs(KEYS) do
    local amount, window = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
    local slot = math.floor(now / window)
    local past = (now % window) / window
    local known = redis.call('HMGET', key, 'w', 'c', 'p')
    local current, previous = tonumber(known[2]) or 0, tonumber(known[3]) or 0
    if tonumber(known[1]) ~= slot then
        previous = tonumber(known[1]) == slot - 1 and current or 0
        current = 0
    end
    local weighted = math.floor(previous * (1 - past)) + current
    local allowed = weighted < amount
    if allowed then
        current, weighted = current + 1, weighted + 1
        redis.call('HSET', key, 'w', slot, 'c', current, 'p', previous)
        redis.call('EXPIRE', key, 2 * window)
    end
    local wait = window * (1 - past)
    if current < amount and previous > 0 then
        wait = math.max(0, (1 - past) - (amount - current) / previous) * window
    elseif current >= amount then
        wait = wait + window * (1 - amount / current)
    end
    states[i] = {
        allowed and 1 or 0, math.max(0, amount - weighted), math.max(1, math.ceil(wait))
    }
end
return states
"""

# Of a key that has been forgotten meanwhile there is nothing to take back.
_TAKE_BACK = """
for _, key in ipairs(KEYS) do
    if redis.call('HEXISTS', key, 'c') == 1 then redis.call('HINCRBY', key, 'c', -1) end
end
"""


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


def count(limits: Sequence[Limit]) -> list[Counted]:
    """Count one request against each of the `limits`, in their order, with one round trip."""
    counted, _ = _counted_by_redis_or_here(limits, stamp=None)
    return counted


def count_and_ask(limits: Sequence[Limit], *, stamp: str) -> tuple[list[Counted], str | None]:
    """The same, and the stamp of that name in the same round trip; None if Redis is away."""
    return _counted_by_redis_or_here(limits, stamp=stamp)


def _counted_by_redis_or_here(
    limits: Sequence[Limit], *, stamp: str | None
) -> tuple[list[Counted], str | None]:
    if not limits:
        return [], None
    policies = [_policy(settings.RATE_LIMITS[limit.name]) for limit in limits]
    keys = _keys(limits)
    if time.monotonic() >= _redis_closed_until:
        try:
            arguments: list[int | str] = [number for policy in policies for number in policy]
            asked = [] if stamp is None else [key_of(stamp)]
            arguments += [new_stamp() for _ in asked]
            states = _script(settings.REDIS_URL, _COUNT)(keys=[*keys, *asked], args=arguments)
        except (RedisError, OSError) as error:
            _leave_redis_alone(error)
        else:
            found = None if stamp is None else states.pop().decode()
            return [
                _counted(limit, policy, allowed=bool(allowed), remaining=remaining, reset_in=wait)
                for limit, policy, (allowed, remaining, wait) in zip(
                    limits, policies, states, strict=True
                )
            ], found
    return [
        _counted(limit, policy, **_memory.count(key, *policy))
        for limit, policy, key in zip(limits, policies, keys, strict=True)
    ], None


def take_back(limits: Sequence[Limit]) -> None:
    """Undo `count` for requests that are going to be counted once more."""
    if not limits:
        return
    keys = _keys(limits)
    if time.monotonic() >= _redis_closed_until:
        try:
            _script(settings.REDIS_URL, _TAKE_BACK)(keys=keys)
        except (RedisError, OSError) as error:
            _leave_redis_alone(error)
        return
    for key in keys:
        _memory.take_back(key)


def _keys(limits: Sequence[Limit]) -> list[str]:
    return [f"limit:{limit.name}:{limit.subject}" for limit in limits]


def _leave_redis_alone(error: Exception) -> None:
    global _redis_closed_until
    _redis_closed_until = time.monotonic() + _PAUSE
    log.warning("rate_limits_without_redis", error=type(error).__name__)


def rate_limit_headers(counted: Sequence[Counted]) -> dict[str, str]:
    """What an answer says of the limits that its request was counted against.

    As draft-ietf-httpapi-ratelimit-headers has it (structured fields): a policy allows `q` requests
    in `w` seconds; `r` of them remain, and more come back within `t` seconds.
    """
    return {
        "RateLimit-Policy": ", ".join(
            f'"{state.name}";q={state.amount};w={state.window}' for state in counted
        ),
        "RateLimit": ", ".join(
            f'"{state.name}";r={state.remaining};t={state.reset_in}' for state in counted
        ),
    }


def rate_limit_problem(exceeded: Sequence[Counted]) -> Problem:
    """What a request past these limits is answered."""
    wait = max(state.reset_in for state in exceeded)
    names = ", ".join(state.name for state in exceeded)
    return Problem(
        status=429,
        code="rate_limited",
        detail=f"Too many requests ({names}); try again in {wait} s.",
        headers={"Retry-After": str(wait)},
    )


def _counted(
    limit: Limit, policy: tuple[int, int], *, allowed: bool, remaining: int, reset_in: int
) -> Counted:
    amount, window = policy
    return Counted(
        name=limit.name,
        allowed=allowed,
        amount=amount,
        window=window,
        remaining=remaining,
        reset_in=reset_in,
    )


@cache
def _policy(rate: str) -> tuple[int, int]:
    """The number of requests and of seconds that "60/minute" means."""
    amount, _, unit = rate.partition("/")
    return int(amount), _SECONDS[unit]


@cache
def _script(url: str, source: str) -> Script:
    client = Redis.from_url(
        url,
        socket_timeout=1,
        socket_connect_timeout=1,
        # The library's own default waits for seconds; once more is for a connection gone stale.
        retry=Retry(NoBackoff(), retries=1),
    )
    return client.register_script(source)


_memory = LocalCounters()


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
