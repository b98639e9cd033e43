"""What the lane takes in and gives out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from uuid import UUID

from oms.core.actor import Actor, account, anonymous
from oms.core.errors import OperationError
from oms.http.etags import names_tag
from oms.http.operations.idempotency import Call as IdempotentCall
from oms.http.payloads import encode
from oms.http.problems import CONTENT_TYPE, Problem, problem_of_fault, problem_of_refusal
from oms.http.rate_limits import Limit
from oms.users.access_tokens import AccessClaims, SignedIn


@dataclass(frozen=True, kw_only=True, slots=True)
class FastPathRequest:
    """A request as the server hands it over; the names of `headers` are in small letters."""

    method: str
    path: str
    query: bytes
    headers: Mapping[str, str]
    body: bytes
    scheme: str
    remote_address: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FastPathCall:
    """A request that the lane has taken, checked as far as it can be without a database.

    `action` is the name of the route (oms/fastpath/routes.py), `caller` what the caller's token
    vouches for, None for nobody; `data` is what was made of the body, path or query, `limit`
    what it counts against; `begun` is on the clock of time.perf_counter.
    """

    begun: float
    action: str
    request: FastPathRequest
    request_id: str
    address: str | None
    caller: AccessClaims | None
    limit: Limit
    data: Any
    idempotent: IdempotentCall | None = None

    @property
    def claims(self) -> AccessClaims:
        """The claims of a call that takes somebody."""
        assert self.caller is not None, "the lane leaves calls of nobody to Django"
        return self.caller

    def actor_among(self, users: Mapping[UUID, SignedIn]) -> Actor | None:
        """The caller, as operations see them; None if `users` by session has them no more."""
        if self.caller is None:
            return anonymous(request_id=self.request_id, ip=self.address)
        user = users.get(self.caller.session_id)
        if user is None or user.user_id != self.caller.user_id:
            return None
        return account(
            id=user.user_id,
            email=user.email,
            is_staff=user.is_staff,
            is_superuser=user.is_superuser,
            request_id=self.request_id,
            ip=self.address,
        )

    def tagged(self, etag: str) -> FastPathAnswer:
        """The answer with its ETag, and its body to come; or 304, or why the question is no good.

        Whoever has 304 asks for nothing more of the database.
        """
        try:
            unchanged = names_tag(self.request.headers.get("if-none-match"), etag=etag)
        except OperationError as error:
            return self.refused(error)
        if unchanged:
            return FastPathAnswer(status=HTTPStatus.NOT_MODIFIED, headers={"ETag": etag})
        headers = {"Content-Type": "application/json", "ETag": etag}
        return FastPathAnswer(status=HTTPStatus.OK, headers=headers)

    def refused(self, error: OperationError) -> FastPathAnswer:
        """The answer that says why not."""
        return self.problem(problem_of_refusal(error))

    def failed(self) -> FastPathAnswer:
        """The answer when a bug of ours came in between."""
        answer = self.problem(problem_of_fault())
        answer.headers["X-Request-ID"] = self.request_id
        return answer

    def problem(self, problem: Problem) -> FastPathAnswer:
        """The answer that carries the problem."""
        document = problem.document(instance=self.request.path, request_id=self.request_id)
        return FastPathAnswer(
            status=problem.status,
            body=encode(document),
            headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store", **problem.headers},
        )


@dataclass(kw_only=True, slots=True)
class FastPathAnswer:
    """An answer, without the headers that all answers have."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def weight_of(call: FastPathCall) -> int:
    """How much of a batch the call is: the number of its orders."""
    return len(call.data["orders"]) if call.action == "create_many" else 1
