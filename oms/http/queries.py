"""Query parameters: each is known, given once and not empty, or the request is refused."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from django.http import QueryDict

from oms.core.errors import InputError, Invalid


class InvalidQuery(Invalid):
    """The query is not valid."""

    code = "invalid_query"


def query_error(parameter: str, *, code: str, detail: str) -> InputError:
    """What is wrong with one query parameter; `parameter` is a member of its own."""
    return InputError(pointer="", code=code, detail=detail, data={"parameter": parameter})


def check_query(query: QueryDict, *, known: Collection[str]) -> None:
    """Raise InvalidQuery for each parameter that is unknown, repeated or empty.

    A misspelt filter that is ignored shows everything, and looks as if it had worked.
    """
    errors = []
    for name, values in query.lists():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            detail = f"There is no such parameter.{hint}"
            errors.append(query_error(name, code="unknown_parameter", detail=detail))
        elif len(values) > 1:
            detail = "A parameter may be given once."
            errors.append(query_error(name, code="repeated_parameter", detail=detail))
        elif not values[0].strip():
            errors.append(query_error(name, code="blank", detail="A parameter may not be empty."))
    if errors:
        raise InvalidQuery(errors)
