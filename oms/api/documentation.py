"""What a view says about itself for the OpenAPI document, above its method:

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

from oms.core.errors import OperationError

M = TypeVar("M", bound=Callable[..., Any])

_ATTRIBUTE = "_oms_documentation"


@dataclass(frozen=True, kw_only=True)
class Documentation:
    """What is said about one operation of the API; see `documented` for the parts."""

    summary: str
    description: str = ""
    request: type[BaseSerializer[Any]] | None = None
    response: type[BaseSerializer[Any]] | Mapping[str, Any] | None = None
    status: int = 200
    request_example: Any = None
    response_example: Any = None
    errors: Sequence[type[OperationError]] = ()
    error_examples: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    media_types: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    versioned: bool = False
    many: bool = False


def documented(
    *,
    summary: str,
    description: str = "",
    request: type[BaseSerializer[Any]] | None = None,
    response: type[BaseSerializer[Any]] | Mapping[str, Any] | None = None,
    status: int | None = None,
    request_example: Any = None,
    response_example: Any = None,
    errors: Sequence[type[OperationError]] = (),
    error_examples: Mapping[str, Mapping[str, Any]] | None = None,
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
    media_types: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    versioned: bool = False,
    many: bool = False,
) -> Callable[[M], M]:
    """Say about the method of a view:

    `summary` in a few words, `description` (by default the method's docstring);
    `request` and `response`, serializers (or, of a response, a JSON schema), None for no body;
    `status` of the success, by default 200, or 204 without a response;
    `request_example`, and `response_example` (of a list: of one object in it);
    `errors`, the classes of refusals beside the standard ones, and `error_examples`, further
    members of their examples by code;
    `parameters`, of each query parameter of the view's `queries`, by name, what OpenAPI says about
    it: {"schema": {...}, "description": "...", "required": False};
    `media_types`, examples of the success in other media types than JSON, by media type;
    `headers`, further request headers with their descriptions;
    `versioned`, whether the answer has an ETag and the request may have If-Match or If-None-Match;
    `many`, whether the answer is a bare list. Pages are known by the view's `paged_actions`.
    """
    documentation = Documentation(
        summary=summary,
        description=description,
        request=request,
        response=response,
        status=status or (204 if response is None else 200),
        request_example=request_example,
        response_example=response_example,
        errors=errors,
        error_examples=error_examples or {},
        parameters=parameters or {},
        media_types=media_types or {},
        headers=headers or {},
        versioned=versioned,
        many=many,
    )

    def attach(method: M) -> M:
        setattr(method, _ATTRIBUTE, documentation)
        return method

    return attach


def documentation_of(method: Any) -> Documentation | None:
    """What was said about `method` of a view, if anything."""
    documentation: Documentation | None = getattr(method, _ATTRIBUTE, None)
    return documentation
