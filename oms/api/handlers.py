"""Handlers of hot routes: from parsed calls to answers, for both fronts.

A handler answers one call of a REST framework view (`ApiView.handle`), or as many as wait on the
fast path. The viewset's action says which handler it has:

    @fast_path(PlaceOrders, "one", body=OrderInput)
    def create(self, request): return self.handle()

A body that is signed has a `parse` in place of a serializer:

    @fast_path(ReceiveWebhooks, "webhook", parse=parse_webhook, parameters=[{"provider": …}])
    def receive(self, request, provider): return self.handle()
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from oms.api.keyset import PageRequest, page_request
from oms.api.serializers import InputSerializer
from oms.core.actor import Actor, anonymous
from oms.core.errors import OperationError
from oms.db.pipeline import Pipeline
from oms.http.etags import names_tag
from oms.http.payloads import encode
from oms.http.problems import CONTENT_TYPE, Problem, problem_of_refusal

M = TypeVar("M", bound=Callable[..., Any])

_ATTRIBUTE = "_oms_fast_path"


@dataclass(frozen=True, kw_only=True, slots=True)
class ListQuery:
    """A page of a list: the query's parameters and what they mean.

    `values` are those of the list's filters, by their names; `url` is the list's own, without its
    query; `key` is equal for equal pages.
    """

    params: Mapping[str, str]
    page: PageRequest
    values: Mapping[str, Any]
    url: str
    key: Any

    @property
    def is_newest_first(self) -> bool:
        """Whether the list begins with the greatest ids."""
        return self.page.ordering.field == "id" and self.page.ordering.descending


@dataclass(kw_only=True, slots=True)
class ApiCall:
    """A parsed call of a hot route.

    `name` is what its route calls it; `data` the validated or parsed body, the id in the path, or
    the ListQuery. `actor` is set before the handler answers.
    """

    name: str
    path: str
    request_id: str
    data: Any = None
    if_none_match: str | None = None
    actor: Actor = field(default_factory=anonymous)

    @property
    def caller_id(self) -> UUID | None:
        """Who calls, known before the handler answers; None for anonymous callers."""
        return self.actor.id

    def tagged(self, etag: str) -> ApiAnswer:
        """200 with the ETag, its body to come; or 304; or the refusal of a malformed header."""
        try:
            unchanged = names_tag(self.if_none_match, etag=etag)
        except OperationError as error:
            return self.refused(error)
        if unchanged:
            return ApiAnswer(status=HTTPStatus.NOT_MODIFIED, headers={"ETag": etag})
        return ApiAnswer(headers={"Content-Type": "application/json", "ETag": etag})

    def refused(self, error: OperationError) -> ApiAnswer:
        """The answer to a refused call."""
        return self.problem(problem_of_refusal(error))

    def problem(self, problem: Problem) -> ApiAnswer:
        """The answer that carries the problem."""
        document = problem.document(instance=self.path, request_id=self.request_id)
        return ApiAnswer(
            status=problem.status,
            body=encode(document),
            headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store", **problem.headers},
        )


@dataclass(kw_only=True, slots=True)
class ApiAnswer:
    """An answer, without the headers that all answers have.

    `is_by_key` of one that the call's idempotency key gave without the handler: the stored answer
    or a refusal.
    """

    status: int = HTTPStatus.OK
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    is_by_key: bool = False


class Handler(ABC):
    """Answers a batch of calls, in two phases.

    It is made before the callers are known, and queues in the pipeline what can be read without
    knowing them. `answers` is given those of the calls that may be answered, with their actors.
    """

    # Whether it needs a transaction, in which its writes are queued in the pipeline.
    is_write: ClassVar[bool] = False
    # Seconds between two batches, for calls that can wait: the more of them share one.
    pause: ClassVar[float] = 0.0
    # The cache version (oms/core/cache_versions.py) that it needs.
    cache: ClassVar[str | None] = None

    def __init__(
        self, calls: Sequence[ApiCall], *, pipeline: Pipeline, cache_version: str | None = None
    ) -> None:
        self.pipeline, self.cache_version = pipeline, cache_version

    @abstractmethod
    def answers(self, calls: Sequence[ApiCall]) -> list[ApiAnswer]:
        """The answers to the calls, in their order."""


def list_query(view: Any, params: Mapping[str, str], *, site: str, path: str) -> ListQuery:
    """The page of the list of `view` at `path` that the parameters name. Raises InvalidQuery."""
    filterset = view.filterset_class
    values = filterset.cleaned(params)
    page = page_request(
        params,
        path=path,
        model=filterset._meta.model,
        orderings=view.orderings,
        default_ordering=view.default_ordering,
    )
    url = f"{site}{path}"
    key = (url, tuple(sorted(params.items())))
    return ListQuery(params=params, page=page, values=values, url=url, key=key)


def _always(query: ListQuery) -> bool:
    return True


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class FastPath:
    """How an action of a viewset is answered by a handler.

    `body` is the serializer of the body; `cost` how many requests a body counts as against the
    limit. `parse` makes the data of the raw body instead: it is called with `headers`, `body` and
    the path's parameters, and raises OperationError; calls of such a route have no idempotency key.
    `parameters` are the path's parameters of each hot path, if it has others than an id. Of a list,
    `slow_filters` and queries rejected by `is_fast` are left to Django, because they may delay a
    batch.
    """

    handler: type[Handler]
    name: str
    body: type[InputSerializer] | None = None
    cost: Callable[[Mapping[str, Any]], int] | None = None
    parse: Callable[..., Any] | None = None
    parameters: Sequence[Mapping[str, str]] = ()
    slow_filters: Collection[str] = frozenset()
    is_fast: Callable[[ListQuery], bool] = _always


def fast_path(handler: type[Handler], name: str, **options: Any) -> Callable[[M], M]:
    """Let the action be answered by `handler`, as calls of that name; see FastPath."""

    def mark(action: M) -> M:
        setattr(action, _ATTRIBUTE, FastPath(handler=handler, name=name, **options))
        return action

    return mark


def fast_path_of(action: Any) -> FastPath | None:
    """The arguments of `fast_path` for the action."""
    found: FastPath | None = getattr(action, _ATTRIBUTE, None)
    return found
