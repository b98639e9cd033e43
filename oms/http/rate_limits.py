"""Counts requests against rate limits, and describes the limits in answers.

The counters are sliding windows in Redis, shared by all processes; decision 0007. Which limits a
request counts against: oms/http/route_limits.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import structlog
from django.conf import settings
from redis.commands.core import Script

from oms.core.cache_versions import new_version, version_key
from oms.core.redis import ERRORS, breaker, redis_client
from oms.http.local_counters import WindowState, local_counters
from oms.http.problems import Problem

log = structlog.get_logger(__name__)

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}

# A sliding window counter: the requests of this window, plus those of the previous one weighted by
# the share of it that the sliding window still covers. Each key is a hash of the window's number
# (w), its count (c) and the previous count (p). By Redis' clock, so that all processes agree.
_COUNT = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local states = {}
local version = #ARGV % 3 == 1 and ARGV[#ARGV]
if version then
    -- The last key is that of a cache version; see oms/core/cache_versions.py.
    local key = table.remove(KEYS)
    states[#KEYS + 1] = redis.call('GET', key) or version
    redis.call('SET', key, version, 'NX')
end
for i, key in ipairs(KEYS) do
    local amount, window = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1])
    local cost = tonumber(ARGV[3 * i])
    local slot = math.floor(now / window)
    local past = (now % window) / window
    local known = redis.call('HMGET', key, 'w', 'c', 'p')
    local current, previous = tonumber(known[2]) or 0, tonumber(known[3]) or 0
    if tonumber(known[1]) ~= slot then
        previous = tonumber(known[1]) == slot - 1 and current or 0
        current = 0
    end
    local weighted = math.floor(previous * (1 - past)) + current
    local allowed = weighted + cost <= amount
    if allowed then
        current, weighted = current + cost, weighted + cost
        redis.call('HSET', key, 'w', slot, 'c', current, 'p', previous)
        redis.call('EXPIRE', key, 2 * window)
    end
    local wait = window * (1 - past)
    local least = amount - cost + 1
    if current < least and previous > 0 then
        wait = math.max(0, (1 - past) - (least - current) / previous) * window
    elseif current >= least then
        wait = wait + window * math.min(1, 1 - least / current)
    end
    states[i] = {
        allowed and 1 or 0, math.max(0, amount - weighted), math.max(1, math.ceil(wait))
    }
end
return states
"""

# A key that has expired is not created again.
_TAKE_BACK = """
for i, key in ipairs(KEYS) do
    if redis.call('HEXISTS', key, 'c') == 1 then redis.call('HINCRBY', key, 'c', -ARGV[i]) end
end
"""


@dataclass(frozen=True, kw_only=True)
class Limit:
    """One limit that a request counts against; `name` is its key in settings.RATE_LIMITS.

    The request counts as `cost` requests: all of them are allowed, or none.
    """

    name: str
    subject: str
    cost: int = 1

    @property
    def key(self) -> str:
        """The key of its counter."""
        return f"limit:{self.name}:{self.subject}"

    @property
    def policy(self) -> tuple[int, int]:
        """The number of requests, and of seconds in which they are allowed."""
        return _policy(settings.RATE_LIMITS[self.name])


@dataclass(frozen=True, kw_only=True)
class Counted:
    """A limit after a request was counted: `amount` in `window` seconds, `remaining` of it now."""

    name: str
    allowed: bool
    amount: int
    window: int
    remaining: int
    reset_in: int


def count(limits: Sequence[Limit]) -> list[Counted]:
    """Count one request against each of the `limits`, in their order, with one round trip."""
    return _count(limits, version=None)[0]


def count_with_version(
    limits: Sequence[Limit], *, version: str
) -> tuple[list[Counted], str | None]:
    """The same, and the cache version of that name by the same round trip; None without Redis."""
    return _count(limits, version=version)


def _count(limits: Sequence[Limit], *, version: str | None) -> tuple[list[Counted], str | None]:
    if not limits:
        return [], None
    if not breaker(settings.REDIS_URL).is_open:
        keys = [limit.key for limit in limits]
        arguments: list[int | str] = [
            number for limit in limits for number in (*limit.policy, limit.cost)
        ]
        if version is not None:
            keys.append(version_key(version))
            arguments.append(new_version())
        try:
            states = _script(settings.REDIS_URL, _COUNT)(keys=keys, args=arguments)
        except ERRORS as error:
            log.warning("rate_limits_without_redis", error=type(error).__name__)
        else:
            found = None if version is None else states.pop().decode()
            return [
                counted(limit, WindowState(bool(allowed), remaining, reset_in))
                for limit, (allowed, remaining, reset_in) in zip(limits, states, strict=True)
            ], found
    return [count_locally(limit) for limit in limits], None


def count_locally(limit: Limit) -> Counted:
    """Count one request against the `limit` in this process alone."""
    return counted(limit, local_counters.count(limit.key, *limit.policy, cost=limit.cost))


def counted(limit: Limit, state: WindowState) -> Counted:
    """The `limit` in the `state` that counting has left."""
    amount, window = limit.policy
    return Counted(name=limit.name, amount=amount, window=window, **state._asdict())


def take_back(limits: Sequence[Limit]) -> None:
    """Undo `count` for requests that are going to be counted once more."""
    if not limits:
        return
    if breaker(settings.REDIS_URL).is_open:
        for limit in limits:
            local_counters.take_back(limit.key, cost=limit.cost)
        return
    try:
        _script(settings.REDIS_URL, _TAKE_BACK)(
            keys=[limit.key for limit in limits], args=[limit.cost for limit in limits]
        )
    except ERRORS as error:
        log.warning("rate_limits_without_redis", error=type(error).__name__)


def rate_limit_headers(counted: Sequence[Counted]) -> dict[str, str]:
    """RateLimit-Policy and RateLimit, as draft-ietf-httpapi-ratelimit-headers defines them.

    A policy allows `q` requests in `w` seconds; `r` of them remain, and more within `t` seconds.
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
    """The 429 for a request past the limits `exceeded`."""
    wait = max(state.reset_in for state in exceeded)
    names = ", ".join(state.name for state in exceeded)
    return Problem(
        status=429,
        code="rate_limited",
        detail=f"Rate limit exceeded ({names}). Try again in {wait} s.",
        headers={"Retry-After": str(wait)},
    )


@cache
def _policy(rate: str) -> tuple[int, int]:
    amount, _, unit = rate.partition("/")
    return int(amount), _SECONDS[unit]


@cache
def _script(url: str, source: str) -> Script:
    return redis_client(url).register_script(source)
