"""Strict query parameters: each is known, given once and not empty."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from django.http import QueryDict

from oms.core.errors import InputError, Invalid


class InvalidQuery(Invalid):
    """Invalid query parameters."""

    code = "invalid_query"


def query_error(parameter: str, *, code: str, detail: str) -> InputError:
    """An error in one query parameter, named by the member `parameter`."""
    return InputError(pointer="", code=code, detail=detail, data={"parameter": parameter})


DRY_RUN = "dry_run"


def is_dry_run(query: QueryDict) -> bool:
    """Whether the request asks what would happen, and is to have no effect."""
    return query.get(DRY_RUN) == "true"


def check_query(query: QueryDict, *, known: Collection[str]) -> None:
    """Raise InvalidQuery naming each parameter that is unknown, repeated or empty.

    A misspelt filter that was ignored would return everything.
    """
    errors = []
    for name, values in query.lists():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            detail = f"Unknown parameter.{hint}"
            errors.append(query_error(name, code="unknown_parameter", detail=detail))
        elif len(values) > 1:
            detail = "Give this parameter only once."
            errors.append(query_error(name, code="repeated_parameter", detail=detail))
        elif not values[0].strip():
            errors.append(query_error(name, code="blank", detail="It must not be empty."))
    if errors:
        raise InvalidQuery(errors)
