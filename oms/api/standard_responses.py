"""Parameters, headers and errors that all operations have in common, for OpenAPI."""

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
    PermissionDenied,
    StaleVersion,
    Unavailable,
)
from oms.core.permissions import Permission
from oms.db.transactions import DatabaseBusy
from oms.http.headers import PreconditionUnsupported
from oms.http.operations.idempotency import IdempotencyInProgress, IdempotencyKeyReused
from oms.http.payloads import MalformedJson
from oms.http.problems import Problem, problem_of_class, problem_of_refusal, problem_of_status
from oms.http.queries import InvalidQuery, query_error

Schema = dict[str, Any]

EXAMPLE_ID = "019aa2f4-7c1e-7d52-9b0a-3c5f6e8d1a27"
EXAMPLE_REQUEST_ID = "019aa2f4-9d0b-7a11-8e44-5b2f0c7d9e63"

EXAMPLE_PATH = "/api/v1/…"
# Errors that are the same for all operations, unless an operation declares more of that status.
ALIKE = frozenset({401, 403, 404, 405, 406, 411, 413, 415, 429, 500, 503, 504})

PATH_ID: Schema = {
    "in": "path",
    "required": True,
    "schema": {"type": "string", "format": "uuid", "examples": [EXAMPLE_ID]},
}

PROBLEM: Schema = {
    "type": "object",
    "description": "RFC 9457 problem details. Some codes have further members; see their examples.",
    "required": ["type", "title", "status", "detail", "instance", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "The path of the request."},
        "code": {
            "type": "string",
            "description": "Identifies the kind of problem; use it in programs.",
        },
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "description": (
                    "One error in the input. Errors in the query name the `parameter`, those in "
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


DRY_RUN_PARAMETER: dict[str, Any] = {
    "type": {"type": "string", "enum": ["true", "false"]},
    "description": (
        "With `true` nothing is done: a success is answered by 200 with what would happen, without"
        " ids, and with `stock` and `money`. Counts as a read, and uses up no idempotency key."
    ),
}
_AMOUNT: Schema = {"type": "string", "format": "decimal"}
DRY_RUN: Schema = {
    "type": "object",
    "description": "The members of a success, but for ids, and what would have happened.",
    "required": ["stock", "money"],
    "properties": {
        "stock": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["product_id", "location", "on_hand_delta", "reserved_delta"],
                "properties": {
                    "product_id": {"type": "string", "format": "uuid"},
                    "location": {"type": "string"},
                    "on_hand_delta": {"type": "integer"},
                    "reserved_delta": {"type": "integer"},
                },
            },
        },
        "money": {
            "type": ["object", "null"],
            "description": "null without money, or with that of several currencies.",
            "required": ["currency", "total_delta", "refund"],
            "properties": {
                "currency": {"type": "string"},
                "total_delta": {
                    **_AMOUNT,
                    "description": "By how much `total` of orders changes.",
                },
                "refund": {**_AMOUNT, "description": "What would be refunded."},
            },
        },
    },
}


def add_dry_run(responses: Schema, schema: Schema) -> None:
    """Add the answer to a dry run, which has the `schema`, to those of an operation."""
    empty: Schema = {"description": "The answer to a dry run.", "content": {"application/json": {}}}
    media = responses.setdefault("200", empty)["content"]["application/json"]
    media["schema"] = {"anyOf": [media["schema"], schema]} if media else schema


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
        "Returned in the response and recorded in logs and the audit trail. Generated if missing.",
        {"type": "string"},
    ),
    "X-Request-Timeout-Ms": _parameter(
        "X-Request-Timeout-Ms",
        "The deadline in milliseconds. Past it the work is rolled back and the response is 504.",
        {"type": "integer", "minimum": 1, "maximum": 30_000, "examples": [5_000]},
    ),
    "Idempotency-Key": _parameter(
        "Idempotency-Key",
        "Makes the request safe to repeat for 24 hours: one effect, and the same response.",
        {"type": "string", "pattern": "^[!-~]{1,255}$"},
    ),
    "If-Match": _parameter("If-Match", "Fails with 412 if the object has changed.", _TAGS),
    "If-None-Match": _parameter(
        "If-None-Match", "Returns 304 if the object has not changed.", _TAGS
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
        'What remains of them, such as `"general_user";r=2999;t=1`.', {"type": "string"}
    ),
    "ETag": _header('The version of the object, such as `"v7"`.', {"type": "string"}),
    "Idempotent-Replayed": _header(
        "Present and true if this is the response to an earlier request with the same key.",
        {"type": "string", "enum": ["true"]},
    ),
    "Retry-After": _header("Seconds.", {"type": "integer", "minimum": 1}),
    "WWW-Authenticate": _header("The authentication scheme.", {"type": "string"}),
}
ERROR_HEADERS: dict[int, Sequence[str]] = {
    401: ["WWW-Authenticate"],
    409: ["Retry-After"],
    412: ["ETag"],
    429: ["Retry-After"],
    503: ["Retry-After"],
}


def title(status: int) -> str:
    """The reason phrase of `status`."""
    return HTTPStatus(status).phrase


def example_path(path: str) -> str:
    """`path` with an example id for each variable."""
    return re.sub(r"\{\w+\}", EXAMPLE_ID, path)


def is_for_staff(permissions: Iterable[Any]) -> bool:
    """Whether one of `permissions` requires staff."""
    return any(isinstance(permission, IsStaff) for permission in permissions)


def _example_of(refusal: type[OperationError]) -> Problem:
    if refusal is StaleVersion:
        return problem_of_refusal(StaleVersion(current_version=8))
    if refusal is PermissionDenied:
        return problem_of_refusal(PermissionDenied(Permission.ORDERS_VIEW))
    return problem_of_class(refusal)


def errors_of(
    *,
    method: str,
    path: str,
    has_body: bool,
    has_key: bool,
    takes_precondition: bool,
    is_for_staff: bool,
    declared: Sequence[type[OperationError]],
) -> dict[int, list[Problem]]:
    """Example problems of an operation, by status in ascending order."""
    query = query_error("statsu", code="unknown_parameter", detail="Unknown parameter.")
    refusals: list[type[OperationError]] = []
    problems = [problem_of_refusal(InvalidQuery([query]))]
    if has_body:
        member = InputError(pointer="/colour", code="unknown_field", detail="Unknown field.")
        problems.append(problem_of_refusal(Invalid([member], "The input is invalid.")))
        refusals.append(MalformedJson)
    if "{" in path:
        refusals.append(NotFound)
    refusals += [refusal for refusal in declared if refusal is not StaleVersion]
    if takes_precondition:
        refusals.append(StaleVersion)
    elif method != "GET":
        refusals.append(PreconditionUnsupported)
    if has_key:
        refusals += [IdempotencyInProgress, IdempotencyKeyReused]
    refusals += [Unavailable, DatabaseBusy, DeadlineExceeded]

    problems += [_example_of(refusal) for refusal in refusals]
    problems.append(problem_of_status(401, detail="Authentication is required."))
    if is_for_staff:
        problems.append(_example_of(PermissionDenied))
    if "{" in path:
        # A word in place of an id may be another route with fewer methods, such as /orders/bulk.
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
