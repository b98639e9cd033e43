"""What every operation of the API has in common, as OpenAPI says it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

from oms.api.permissions import IsStaff
from oms.core.errors import (
    DeadlineExceeded,
    InputError,
    Invalid,
    NotFound,
    OperationError,
    StaleVersion,
    Unavailable,
)
from oms.db.transactions import DatabaseBusy
from oms.http.operations.idempotency import IdempotencyInProgress, IdempotencyKeyReused
from oms.http.payloads import MalformedJson
from oms.http.problems import Problem, problem_of_class, problem_of_refusal, problem_of_status
from oms.http.queries import InvalidQuery, query_error

Schema = dict[str, Any]

EXAMPLE_ID = "019aa2f4-7c1e-7d52-9b0a-3c5f6e8d1a27"
EXAMPLE_REQUEST_ID = "019aa2f4-9d0b-7a11-8e44-5b2f0c7d9e63"

EXAMPLE_PATH = "/api/v1/…"
# The errors that say the same wherever they come from, unless an operation declares more of them.
ALIKE = frozenset({401, 403, 404, 405, 406, 411, 413, 415, 429, 500, 503, 504})

PATH_ID: Schema = {
    "in": "path",
    "required": True,
    "schema": {"type": "string", "format": "uuid", "examples": [EXAMPLE_ID]},
}

PROBLEM: Schema = {
    "type": "object",
    "description": "RFC 9457. Some codes have further members, as their examples show.",
    "required": ["type", "title", "status", "detail", "instance", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "The path that was asked for."},
        "code": {"type": "string", "description": "What to go by in a program."},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "description": (
                    "One fault of the input. Faults of the query name its `parameter`, those of "
                    "a header the `header`."
                ),
                "required": ["pointer", "code", "detail"],
                "properties": {
                    "pointer": {
                        "type": "string",
                        "description": "A JSON pointer (RFC 6901) into the body.",
                    },
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                    "parameter": {"type": "string"},
                    "header": {"type": "string"},
                },
            },
        },
    },
}


# "*", or entity tags with commas between (RFC 9110, section 13.1).
_TAGS: Schema = {
    "type": "string",
    "pattern": r'^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$',
    "examples": ['"v7"'],
}


def _parameter(name: str, description: str, schema: Schema) -> Schema:
    return {"name": name, "in": "header", "description": description, "schema": schema}


PARAMETERS: dict[str, Schema] = {
    "X-Request-ID": _parameter(
        "X-Request-ID",
        "Comes back in the answer and stands in logs and the audit trail. One is made if missing.",
        {"type": "string"},
    ),
    "X-Request-Timeout-Ms": _parameter(
        "X-Request-Timeout-Ms",
        "The deadline. Work past it is cancelled, undone and answered 504.",
        {"type": "integer", "minimum": 1, "maximum": 30_000, "examples": [5_000]},
    ),
    "Idempotency-Key": _parameter(
        "Idempotency-Key",
        "Makes the call safe to repeat for 24 hours: it takes effect once, and is answered alike.",
        {"type": "string", "pattern": "^[!-~]{1,255}$"},
    ),
    "If-Match": _parameter(
        "If-Match", "Refuses the call with 412 if the object has changed.", _TAGS
    ),
    "If-None-Match": _parameter(
        "If-None-Match", "Answers 304 if the object has not changed.", _TAGS
    ),
}


def _header(description: str, schema: Schema) -> Schema:
    return {"description": description, "schema": schema}


HEADERS: dict[str, Schema] = {
    "X-Request-ID": _header("The id of this request.", {"type": "string"}),
    "RateLimit-Policy": _header(
        'The limits, such as `"general_user";q=3000;w=60` (draft-ietf-httpapi-ratelimit-headers).',
        {"type": "string"},
    ),
    "RateLimit": _header(
        'What is left of them, such as `"general_user";r=2999;t=1`.', {"type": "string"}
    ),
    "ETag": _header('The version of the object, such as `"v7"`.', {"type": "string"}),
    "Idempotent-Replayed": _header(
        "There, and true, if this is the answer of an earlier call with the same key.",
        {"type": "string", "enum": ["true"]},
    ),
    "Retry-After": _header("Seconds.", {"type": "integer", "minimum": 1}),
    "WWW-Authenticate": _header("How to authenticate.", {"type": "string"}),
}
ERROR_HEADERS: dict[int, Sequence[str]] = {
    401: ["WWW-Authenticate"],
    409: ["Retry-After"],
    429: ["Retry-After"],
    503: ["Retry-After"],
}


def title(status: int) -> str:
    """The phrase that HTTP has for `status`."""
    return HTTPStatus(status).phrase


def example_path(path: str) -> str:
    """`path` with an id for each of its variables."""
    return re.sub(r"\{\w+\}", EXAMPLE_ID, path)


def is_for_staff(permissions: Iterable[Any]) -> bool:
    """Whether one of `permissions` keeps customers out."""
    return any(isinstance(permission, IsStaff) for permission in permissions)


def may_be_stale(
    *, method: str, is_versioned: bool, declared: Sequence[type[OperationError]]
) -> bool:
    """Whether an operation takes If-Match: it changes what has a version, or declares it."""
    return StaleVersion in declared or (is_versioned and method in ("PUT", "PATCH", "DELETE"))


def errors_of(
    *,
    method: str,
    path: str,
    has_body: bool,
    has_key: bool,
    is_versioned: bool,
    is_for_staff: bool,
    declared: Sequence[type[OperationError]],
) -> dict[int, list[Problem]]:
    """Examples of all problems that an operation may answer, by status in order."""
    query = query_error("statsu", code="unknown_parameter", detail="There is no such parameter.")
    refusals: list[type[OperationError]] = []
    problems = [problem_of_refusal(InvalidQuery([query]))]
    if has_body:
        member = InputError(
            pointer="/colour", code="unknown_field", detail="There is no such member."
        )
        problems.append(problem_of_refusal(Invalid([member], "The input is not valid.")))
        refusals.append(MalformedJson)
    if "{" in path:
        refusals.append(NotFound)
    refusals += declared
    if may_be_stale(method=method, is_versioned=is_versioned, declared=declared):
        refusals.append(StaleVersion)
    if has_key:
        refusals += [IdempotencyInProgress, IdempotencyKeyReused]
    refusals += [Unavailable, DatabaseBusy, DeadlineExceeded]

    problems += [problem_of_class(refusal) for refusal in refusals]
    problems.append(problem_of_status(401, detail="Valid credentials are needed."))
    if is_for_staff:
        problems.append(problem_of_status(403, detail="The caller may not do this."))
    if "{" in path:
        # A word in place of an id may be another route, such as /orders/bulk, with less methods.
        problems.append(problem_of_status(405))
    problems += [problem_of_status(status) for status in (406, 429, 500)]
    if has_body:
        problems += [problem_of_status(status) for status in (411, 413, 415)]

    by_status: dict[int, list[Problem]] = {}
    for problem in sorted(problems, key=lambda problem: problem.status):
        of_status = by_status.setdefault(problem.status, [])
        if all(problem.code != other.code for other in of_status):
            of_status.append(problem)
    return by_status
