"""Which rate limits a request counts against, by the name of its route.

settings.RATE_LIMITED_ROUTES names the limits of single routes; all other requests under /api count
against the general limits. Attempts (logins, registrations, password changes) are counted by
django-ratelimit in fixed windows, all else in sliding ones; decision 0007.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import structlog
from django.conf import settings
from django.http import HttpRequest
from django.urls import Resolver404, resolve
from django.utils.module_loading import import_string
from django_ratelimit.core import get_usage

from oms.core.errors import Invalid
from oms.core.redis import ERRORS, breaker
from oms.http.addresses import address_group
from oms.http.bodies import body_fault
from oms.http.identity import identify
from oms.http.local_counters import WindowState
from oms.http.payloads import decode
from oms.http.problems import Problem, is_api
from oms.http.queries import is_dry_run
from oms.http.rate_limits import Counted, Limit, count, count_locally, counted, rate_limit_problem

log = structlog.get_logger(__name__)

_ATTEMPTS = frozenset({"register_address", "token_address", "token_account", "password_user"})
_GENERAL = ("general_user",)
_LONGEST_EMAIL = 254


def count_request(request: HttpRequest) -> list[Counted]:
    """Count the request against all of its limits; empty if it has none."""
    limits = limits_of(request)
    attempts = [limit for limit in limits if limit.name in _ATTEMPTS]
    if attempts:
        return [_count_attempt(request, limit) for limit in attempts]
    return count(limits)


def count_body(request: HttpRequest, *, cost: int) -> Problem | None:
    """Count a decoded body that counts as `cost` requests, one of which was counted before.

    Returns the problem if the limits do not allow that many.
    """
    if cost <= 1:
        return None
    states = count([replace(limit, cost=cost - 1) for limit in limits_of(request)])
    request.counted = states  # type: ignore[attr-defined]  # ours, for the middleware's headers
    exceeded = [state for state in states if not state.allowed]
    return rate_limit_problem(exceeded) if exceeded else None


def limits_of(request: HttpRequest) -> list[Limit]:
    """The limits of the request's route, with the subjects that it has."""
    names = limit_names(request.method or "", _route(request))
    # A dry run counts as a read; attempts, which have none, count whatever the query says.
    if is_api(request) and is_dry_run(request.GET) and _ATTEMPTS.isdisjoint(names):
        names = _GENERAL
    if not names or (names is _GENERAL and not is_api(request)):
        return []
    subjects = ((name, _SUBJECTS[name.rpartition("_")[2]](request)) for name in names)
    limits = [Limit(name=name, subject=subject) for name, subject in subjects if subject]
    if not limits and is_api(request):
        return [Limit(name="general_address", subject=_address(request))]
    return limits


def limit_names(method: str, view_name: str) -> tuple[str, ...]:
    """The limits of the route; those of all other requests under /api if it has none of its own."""
    names: tuple[str, ...] = settings.RATE_LIMITED_ROUTES.get((method, view_name), _GENERAL)
    return names


def _route(request: HttpRequest) -> str:
    """The name of the route, known before Django resolves it for the view."""
    try:
        return resolve(request.path_info).view_name
    except Resolver404:
        return ""


def _count_attempt(request: HttpRequest, limit: Limit) -> Counted:
    usage = None
    if not breaker(settings.REDIS_URL).is_open:
        try:
            usage = get_usage(
                request,
                group=limit.name,
                key=lambda group, request: limit.subject,
                rate=settings.RATE_LIMITS[limit.name],
                increment=True,
            )
        except ERRORS as error:
            # RATELIMIT_FAIL_OPEN does not cover a cache that cannot be reached.
            log.warning("rate_limits_without_redis", error=type(error).__name__)
    if usage is None:
        return count_locally(limit)
    return counted(
        limit,
        WindowState(
            allowed=not usage["should_limit"],
            remaining=max(0, usage["limit"] - usage["count"]),
            reset_in=max(1, usage["time_left"]),
        ),
    )


def _address(request: HttpRequest) -> str:
    return address_group(getattr(request, "client_address", None))


def _user(request: HttpRequest) -> str | None:
    """The user of the API's token, or of the back office's session."""
    if is_api(request):
        user_id = identify(request).user_id
        return None if user_id is None else str(user_id)
    return str(request.user.pk) if request.user.is_authenticated else None


def _account(request: HttpRequest) -> str | None:
    """A digest of the account that a login names; None if it names none.

    Attempts with a session of the account that is still valid, and those from an address where it
    has logged in before, have counters of their own: those of strangers don't lock its owner out.
    The body is read again by the view, which reports what is wrong with it.
    """
    if body_fault(request):
        return None
    email = _json_email(request) if is_api(request) else request.POST.get("username")
    if not isinstance(email, str) or not email:
        return None
    # Normalized like Django's login form, so that all spellings of one account share a counter.
    folded = unicodedata.normalize("NFKC", email).strip().lower()
    digest = hashlib.sha256(folded.encode(errors="replace")).hexdigest()
    if folded == _signed_in_email(request):
        return f"{digest}:session"
    address = _address(request)
    # No account has a longer name, or one that the database could not store.
    is_possible = len(folded) <= _LONGEST_EMAIL and folded.isprintable()
    is_known = import_string(settings.IS_KNOWN_ADDRESS)
    if is_possible and is_known(email=folded, address=address):
        return f"{digest}:{address}"
    return digest


def _signed_in_email(request: HttpRequest) -> str | None:
    """The e-mail address of the user of the API's token, or of the back office's session."""
    user: Any = identify(request).user if is_api(request) else request.user
    return user.email.lower() if user is not None and user.is_authenticated else None


def _json_email(request: HttpRequest) -> object:
    try:
        body = decode(request.body)
    except Invalid:
        return None
    return body.get("email") if isinstance(body, dict) else None


# What a limit counts is the last word of its name.
_SUBJECTS: Mapping[str, Callable[[HttpRequest], str | None]] = {
    "address": _address,
    "user": _user,
    "account": _account,
}
