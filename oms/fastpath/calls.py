"""Accepts requests for the fast path by method, path and headers."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from django.conf import settings

from oms.api.handlers import ApiCall, ListQuery, list_query
from oms.api.keyset import PARAMETERS
from oms.core.actor import anonymous
from oms.fastpath.middleware import is_accepted, site_of
from oms.fastpath.requests import FastPathRequest
from oms.fastpath.routes import Route
from oms.http.addresses import address_behind, address_group
from oms.http.bodies import body_limit
from oms.http.middleware.context import sane_request_id
from oms.http.operations.idempotency import HEADER, KeyedCall, is_key, keyed_call
from oms.http.queries import InvalidQuery
from oms.http.rate_limits import Limit
from oms.users.access_tokens import AccessClaims, Account, claims_of

_KEY_HEADER = HEADER.lower()
# Headers that only Django handles.
_UNUSUAL = frozenset(
    {
        "content-encoding",
        "cookie",  # it may name a language
        "if-match",
        "traceparent",
        "transfer-encoding",
        "x-request-timeout-ms",
    }
)
_ACCEPTED = frozenset({"*/*", "application/json", "application/json, */*"})
_JSON = frozenset({"application/json", "application/json; charset=utf-8"})

# Parameters, each with a value, of which nothing but what times and lists have is encoded: so do
# the links to a list's other pages.
_ENCODED = {"%2B": "+", "%2C": ",", "%3A": ":"}
_PLAIN = re.compile(rb"(?:[a-z_]+=(?:[A-Za-z0-9_.,:~-]|%2B|%2C|%3A)+(?:&(?!\Z)|\Z))*")
_LONGEST_QUERY = 1_000
# Of a body, so many bytes count as one order towards the size of a batch.
_BYTES_OF_ORDER = 512


@dataclass(kw_only=True, slots=True)
class FastPathCall(ApiCall):
    """A call that the fast path has taken by its headers.

    `claims` are those of the caller's token, None for an anonymous caller; `limit` is what the call
    counts against, if anything; `begun` is on the clock of time.perf_counter. `data` and `keyed` of
    a call with a body are set by `decode`.
    """

    begun: float
    route: Route
    request: FastPathRequest
    address: str | None
    claims: AccessClaims | None
    limit: Limit | None
    key: str | None = None
    keyed: KeyedCall | None = None

    @property
    def caller_id(self) -> UUID | None:
        return None if self.claims is None else self.claims.user_id

    @property
    def weight(self) -> int:
        """How much of a batch the call is: about the number of its orders."""
        return max(1, len(self.request.body) // _BYTES_OF_ORDER)

    def decode(self) -> bool:
        """Decode the body; whether nothing about it is unusual."""
        parse = self.route.fast_path.parse
        if parse is not None:
            try:
                self.data = parse(
                    headers=self.request.headers, body=self.request.body, **self.route.parameters
                )
            except Exception:  # Django calls it too, and answers or reports what it raises
                return False
            return True
        if self.route.decode is None:
            return True
        self.data = self.route.decode(self.request.body)
        if self.data is None:
            return False
        if self.key is not None and self.claims is not None:
            self.keyed = keyed_call(
                self.key,
                user_id=self.claims.user_id,
                address=self.address,
                method=self.request.method,
                path=self.path,
                query=self.request.query,
                body=self.request.body,
            )
        return True

    @property
    def cost(self) -> int:
        """How many requests the decoded call counts as."""
        cost = self.route.fast_path.cost
        return 1 if cost is None else cost(self.data)

    def identify(self, accounts: Mapping[UUID, Account]) -> bool:
        """Set the actor; False if the caller is no longer signed in, or not allowed."""
        if self.claims is None:
            self.actor = anonymous(request_id=self.request_id, ip=self.address)
            return True
        account = accounts.get(self.claims.session_id)
        if account is None or account.id != self.claims.user_id or not self.route.allows(account):
            return False
        self.actor = account.actor(request_id=self.request_id, ip=self.address)
        return True


def accept(request: FastPathRequest, *, route: Route, id: UUID | None) -> FastPathCall | None:
    """The call of the request, whose body has not been read; None if it is left to Django.

    Returns None for anything unusual; Django produces the error response.
    """
    begun = time.perf_counter()
    headers = request.headers
    if not _UNUSUAL.isdisjoint(headers) or headers.get("accept", "*/*") not in _ACCEPTED:
        return None
    if request.method == "GET" and headers.get("content-length", "0") != "0":
        return None
    if not is_accepted(request, path=route.path):
        return None
    scheme, _, token = headers.get("authorization", "").partition(" ")
    claims = claims_of(token) if scheme == "Bearer" else None
    if claims is None and ("authorization" in headers or not route.is_public):
        return None
    data: UUID | ListQuery | None = None
    key = None
    if route.fast_path.body is not None or route.fast_path.parse is not None:
        key = headers.get(_KEY_HEADER)
        if key is not None and (route.fast_path.parse is not None or not is_key(key)):
            return None
        if not _has_usual_body(request):
            return None
    else:
        data = id if not request.query else None
        if id is None:
            data = _list_query(route, request.query, site=site_of(request), path=request.path)
        if data is None:
            return None
    address = address_behind(
        request.remote_address,
        forwarded_for=headers.get("x-forwarded-for", ""),
        trusted_proxies=settings.TRUSTED_PROXIES,
    )
    return FastPathCall(
        begun=begun,
        name=route.fast_path.name,
        path=request.path,
        route=route,
        request=request,
        request_id=sane_request_id(headers.get("x-request-id", "")),
        if_none_match=headers.get("if-none-match"),
        address=address,
        claims=claims,
        limit=_limit(route, claims=claims, address=address),
        data=data,
        key=key,
    )


def _has_usual_body(request: FastPathRequest) -> bool:
    """Whether a JSON body is announced that is not too large, and the query is empty."""
    headers = request.headers
    announced = headers.get("content-length", "")
    return (
        not request.query
        and headers.get("content-type") in _JSON
        and announced.isdecimal()
        and int(announced) <= body_limit(request.path)
    )


def _limit(route: Route, *, claims: AccessClaims | None, address: str | None) -> Limit | None:
    if route.limit is None:
        return None
    if claims is None:
        return Limit(name="general_address", subject=address_group(address))
    return Limit(name=route.limit, subject=str(claims.user_id))


@lru_cache(maxsize=4096)
def _list_query(route: Route, query: bytes, *, site: str, path: str) -> ListQuery | None:
    """The page that the query names; None for what is left to Django."""
    if len(query) > _LONGEST_QUERY or not _PLAIN.fullmatch(query):
        return None
    text = query.decode("ascii")
    if "%" in text:
        for code, character in _ENCODED.items():
            text = text.replace(code, character)
    parts = text.split("&") if text else []
    params = dict(part.split("=") for part in parts)
    view, mark = route.view, route.fast_path
    known = PARAMETERS | (view.filterset_class.base_filters.keys() - mark.slow_filters)
    if len(params) != len(parts) or not params.keys() <= known:
        return None
    try:
        found = list_query(view, params, site=site, path=path)
    except InvalidQuery:
        return None
    return found if mark.is_fast(found) else None
