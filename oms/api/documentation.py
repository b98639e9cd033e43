"""The documentation of an operation for the OpenAPI document, above its method:

@documented(
    summary="Place an order",
    request=OrderInput,
    response=OrderOutput,
    status=201,
    request_example={...},
    response_example={...},
    errors=[OutOfStock],
    versioned=True,
)
def create(self, request): ...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rest_framework.serializers import BaseSerializer

from oms.core.errors import OperationError, StaleVersion

M = TypeVar("M", bound=Callable[..., Any])

_ATTRIBUTE = "_oms_documentation"


@dataclass(frozen=True, kw_only=True)
class documented:  # a decorator
    """The documentation of one operation.

    `description` is by default the method's docstring. `request` and `response` are serializers
    (for a response also a JSON schema, for a request also serializers and schemas by media type),
    None for no body; a response example of a list shows one object. `status` is that of a success.
    `errors` are the refusals beside the standard ones, and `error_examples` further members of
    their examples by code. `parameters` describes each query parameter in the view's `queries`:
    {"schema": …, "description": …, "required": False}. `media_types` holds examples of the success
    in other media types, `headers` the descriptions of further request headers. A `versioned`
    answer has an ETag. `many` means a bare list; pages are known by the view's `paged_actions`.

    Two things have an effect besides: an operation that is `versioned` and a PUT, PATCH or DELETE,
    or declares StaleVersion, takes If-Match, which others refuse (`ApiView.expected_version`); one
    with `dry_run` takes the query parameter of that name (`oms.api.dry_runs`).
    """

    summary: str
    description: str = ""
    request: (
        type[BaseSerializer[Any]]
        | Mapping[str, type[BaseSerializer[Any]] | Mapping[str, Any]]
        | None
    ) = None
    response: type[BaseSerializer[Any]] | BaseSerializer[Any] | Mapping[str, Any] | None = None
    status: int = 0
    request_example: Any = None
    response_example: Any = None
    errors: Sequence[type[OperationError]] = ()
    error_examples: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    media_types: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    versioned: bool = False
    dry_run: bool = False
    many: bool = False

    def __post_init__(self) -> None:
        if not self.status:
            object.__setattr__(self, "status", 204 if self.response is None else 200)

    def __call__(self, method: M) -> M:
        setattr(method, _ATTRIBUTE, self)
        return method


def takes_precondition(said: documented | None, method: str) -> bool:
    """Whether calls of the operation may have If-Match: it changes an object with a version."""
    return said is not None and (
        StaleVersion in said.errors or (said.versioned and method in ("PUT", "PATCH", "DELETE"))
    )


def documentation_of(method: Any) -> documented | None:
    """The documentation of a view's `method`, if it has any."""
    documentation: documented | None = getattr(method, _ATTRIBUTE, None)
    return documentation
