"""Who opens a stream, by access token or ticket; and the limit of requests."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from oms.core.errors import NotAuthenticated
from oms.fastpath.requests import FastPathRequest
from oms.http.addresses import address_behind, address_group
from oms.http.rate_limits import Limit, count, rate_limit_headers, rate_limit_problem
from oms.streams.listeners import Caller
from oms.streams.queries import Refused
from oms.streams.tickets import redeem_ticket
from oms.users.access_tokens import Account, account_of, claims_of
from oms.users.errors import TokenInvalid
from oms.users.queries import staff_account


class TicketInvalid(NotAuthenticated):
    """The ticket is invalid, was used, or is older than 30 seconds."""

    code = "ticket_invalid"


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """Who has sent a request: `account` is None for anonymous callers.

    `headers` are those of the limit of requests.
    """

    caller: Caller
    account: Account | None
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
    group = address_group(address)
    account, error = None, None
    try:
        account = _account(request, ticket=ticket)
    except NotAuthenticated as refusal:
        error = refusal
    limit = (
        Limit(name="general_address", subject=group)
        if account is None
        else Limit(name="general_user", subject=str(account.id))
    )
    counted = count([limit])
    if not counted[0].allowed:
        raise Refused(rate_limit_problem(counted))
    if error is not None:
        raise error
    caller = Caller(address=group)
    if account is not None:
        caller = Caller(
            address=group,
            user_id=account.id,
            session_id=account.session_id,
            is_staff=account.is_staff,
        )
    return Visitor(caller=caller, account=account, headers=rate_limit_headers(counted))


def _account(request: FastPathRequest, *, ticket: str | None) -> Account | None:
    authorization = request.headers.get("authorization")
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        claims = claims_of(token.strip()) if scheme.lower() == "bearer" else None
        account = None if claims is None else account_of(claims.session_id)
        if claims is None or account is None or account.id != claims.user_id:
            raise TokenInvalid
        return account
    if ticket is None:
        return None
    redeemed = redeem_ticket(ticket)
    if redeemed is None:
        raise TicketInvalid
    if redeemed.session_id is None:
        account = staff_account(redeemed.user_id)
    else:
        account = account_of(redeemed.session_id)
    if account is None:
        raise TicketInvalid
    return account
