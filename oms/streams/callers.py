"""Who opens a stream, by access token or ticket; and the limit of requests."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.conf import settings

from oms.api.keyset import MAX_PAGE_SIZE
from oms.core import clock
from oms.core.errors import NotAuthenticated
from oms.core.ids import creation_time_of
from oms.fastpath.requests import FastPathRequest
from oms.http.addresses import address_behind, address_group
from oms.http.rate_limits import Limit, count, rate_limit_headers, rate_limit_problem
from oms.streams.listeners import Caller
from oms.streams.queries import Refused
from oms.streams.stock import number_changed_since
from oms.streams.tickets import redeem_ticket
from oms.users.access_tokens import Account, account_of, accounts_of_open_sessions, claims_of
from oms.users.errors import TokenInvalid
from oms.users.queries import back_office_account

# What was missed within this time costs nothing more: all come again after a restart.
_FREE = timedelta(minutes=1)


class TicketInvalid(NotAuthenticated):
    """The ticket is invalid, was used, or is older than 30 seconds."""

    code = "ticket_invalid"


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """Who has sent a request; `headers` are those of the limit of requests."""

    caller: Caller
    headers: dict[str, str]


def visitor_of(request: FastPathRequest, *, ticket: str | None) -> Visitor:
    """Who has sent the request, which counts as one. Uses the ticket up, if there is one.

    Raises NotAuthenticated for invalid credentials, and Refused past the limit.
    """
    address = address_behind(
        request.remote_address,
        forwarded_for=request.headers.get("x-forwarded-for", ""),
        trusted_proxies=settings.TRUSTED_PROXIES,
    )
    caller, error = Caller(address=address_group(address)), None
    try:
        caller = _caller(request, ticket=ticket, address=caller.address)
    except NotAuthenticated as refusal:
        error = refusal
    headers = _count(caller)
    if error is not None:
        raise error
    return Visitor(caller=caller, headers=headers)


def count_missed_stock(caller: Caller, *, after: UUID) -> None:
    """Count the stock that has changed since as the pages of products that it fills.

    At most as half of what the limit allows. Raises Refused past the limit.
    """
    if clock.now() - creation_time_of(after) <= _FREE:
        return
    pages = number_changed_since(after) // MAX_PAGE_SIZE
    if pages:
        allowed, _ = _limit(caller).policy
        _count(caller, cost=min(pages, allowed // 2))


def accounts_of(sessions: Collection[UUID | str]) -> dict[UUID | str, Account]:
    """The accounts of those of the sessions that are still open: ids, and keys of the back office.

    Raises DatabaseError.
    """
    ids = [session for session in sessions if isinstance(session, UUID)]
    found: dict[UUID | str, Account] = dict(accounts_of_open_sessions(ids).items())
    for session in sessions:
        if isinstance(session, str) and (account := back_office_account(session)):
            found[session] = account
    return found


def _count(caller: Caller, *, cost: int = 1) -> dict[str, str]:
    """Count a request of the caller; the headers of the limit. Raises Refused past it."""
    counted = count([_limit(caller, cost=cost)])
    if not counted[0].allowed:
        raise Refused(rate_limit_problem(counted))
    return rate_limit_headers(counted)


def _limit(caller: Caller, *, cost: int = 1) -> Limit:
    if caller.account is None:
        return Limit(name="general_address", subject=caller.address, cost=cost)
    return Limit(name="general_user", subject=str(caller.account.id), cost=cost)


def _caller(request: FastPathRequest, *, ticket: str | None, address: str) -> Caller:
    authorization = request.headers.get("authorization")
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        claims = claims_of(token.strip()) if scheme.lower() == "bearer" else None
        account = None if claims is None else account_of(claims.session_id)
        if claims is None or account is None or account.id != claims.user_id:
            raise TokenInvalid
        return Caller(address=address, account=account)
    if ticket is None:
        return Caller(address=address)
    session = redeem_ticket(ticket)
    if isinstance(session, str):
        account, session_key = back_office_account(session), session
    else:
        account, session_key = None if session is None else account_of(session), ""
    if account is None:
        raise TicketInvalid
    return Caller(address=address, account=account, session_key=session_key)
