"""Errors as RFC 9457 problem documents; the only place that maps errors to statuses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import psycopg
from django.core import exceptions as django_errors
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.http.request import RawPostDataException, UnreadablePostError
from rest_framework import exceptions as drf_errors

from oms.core import errors
from oms.core.errors import InputError
from oms.db.transactions import DatabaseBusy, is_retried
from oms.http.etags import etag_for
from oms.http.payloads import encode, pointer_token

CONTENT_TYPE = "application/problem+json"
# Each type is an anchor of this page, which lists them all.
TYPES_PAGE = "/api/docs/problems"

# The families of errors, each with its status; a subclass belongs to its nearest family.
STATUSES: Mapping[type[errors.OperationError], int] = {
    errors.Invalid: 400,
    errors.NotAuthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Gone: 410,
    errors.StaleVersion: 412,
    errors.Unprocessable: 422,
    errors.TooManyRequests: 429,
    errors.Unavailable: 503,
    errors.DeadlineExceeded: 504,
}

# Codes of problems that have no OperationError, by status.
CODES: Mapping[int, str] = {
    400: "bad_request",
    401: "not_authenticated",
    403: "permission_denied",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    408: "request_timeout",
    409: "conflict",
    411: "length_required",
    412: "precondition_failed",
    413: "body_too_large",
    414: "uri_too_long",
    415: "unsupported_media_type",
    422: "unprocessable",
    429: "rate_limited",
    431: "headers_too_large",
    500: "internal_error",
    503: "unavailable",
    504: "deadline_exceeded",
}

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_BAD_REQUESTS = (
    django_errors.BadRequest,
    django_errors.SuspiciousOperation,
    MultiPartParserError,
    RawPostDataException,
    UnreadablePostError,
)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """The content of a problem document.

    `errors` are the invalid places of the input; `data` holds further members of the document.
    """

    status: int
    code: str
    detail: str
    errors: Sequence[InputError] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def document(self, *, instance: str, request_id: str) -> dict[str, Any]:
        """The members of RFC 9457 and our own."""
        document: dict[str, Any] = {
            "type": f"{TYPES_PAGE}#{self.code}",
            "title": title_of(self.code),
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            "code": self.code,
            "request_id": request_id,
        }
        if self.errors:
            document["errors"] = [
                {"pointer": e.pointer, "code": e.code, "detail": e.detail, **e.data}
                for e in self.errors
            ]
        return {**self.data, **document}


def is_api(request: HttpRequest) -> bool:
    """Whether `request` belongs to the API, whose errors are problem documents."""
    return is_api_path(request.path)


def is_api_path(path: str) -> bool:
    """The same by the path."""
    return path.startswith("/api/") or path == "/api"


def title_of(code: str) -> str:
    """The title of all problems with `code`: "Out of stock" for out_of_stock."""
    return code.replace("_", " ").capitalize()


def problem_response(*, request: HttpRequest, problem: Problem) -> HttpResponse:
    """The response with `problem`."""
    document = problem.document(
        instance=request.path, request_id=getattr(request, "request_id", "")
    )
    return HttpResponse(
        encode(document),
        status=problem.status,
        content_type=CONTENT_TYPE,
        headers={"Cache-Control": "no-store", **problem.headers},
    )


def problem_document(
    *, error: errors.OperationError, instance: str, request_id: str
) -> dict[str, Any]:
    """The problem document of one error in the results of a bulk request.

    Its pointers begin at the root of the one member of the request.
    """
    return problem_of_refusal(error).document(instance=instance, request_id=request_id)


def status_of(error_class: type[errors.OperationError]) -> int:
    """The HTTP status of a class of errors."""
    for ancestor in error_class.__mro__:
        if ancestor in STATUSES:
            return STATUSES[ancestor]
    raise TypeError(f"{error_class.__name__} belongs to no family of errors.")


def problem_of_class(error_class: type[errors.OperationError]) -> Problem:
    """The problem of `error_class` without any data."""
    return Problem(
        status=status_of(error_class),
        code=error_class.code,
        detail=" ".join((error_class.__doc__ or "").split()),
    )


def problem_of_status(status: int, *, detail: str = "", code: str = "") -> Problem:
    """The problem of a bare status, with its default `detail` and `code`."""
    return Problem(
        status=status,
        code=code or CODES.get(status, "error"),
        detail=detail or f"{HTTPStatus(status).phrase}.",
    )


def problem_of_fault() -> Problem:
    """The problem of an internal error."""
    return problem_of_status(
        500, detail="An internal error occurred. Quote the request id when you report it."
    )


def problem_of_refusal(error: errors.OperationError) -> Problem:
    """The problem for the error of an operation."""
    headers: dict[str, str] = {}
    # Only temporary errors have one.
    if retry_after := getattr(error, "retry_after", None):
        headers["Retry-After"] = str(retry_after)
    if isinstance(error, errors.StaleVersion):
        headers["ETag"] = etag_for(error.data["current_version"])
    if isinstance(error, errors.NotAuthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="api"'
    return Problem(
        status=status_of(type(error)),
        code=error.code,
        detail=error.message,
        errors=error.errors,
        data=error.data,
        headers=headers,
    )


def problem_of(error: BaseException) -> Problem | None:
    """The problem for `error`; None for an internal error, which is a 500."""
    if isinstance(error, errors.OperationError):
        return problem_of_refusal(error)
    if isinstance(error, drf_errors.APIException):
        return _problem_of_drf(error)
    if isinstance(error, Http404):
        return problem_of_status(404, detail="Not found.")
    if isinstance(error, django_errors.PermissionDenied):
        return problem_of_status(403, detail="You don't have permission to do this.")
    if isinstance(error, django_errors.RequestDataTooBig):
        return problem_of_status(413, detail="The body is too large.")
    if isinstance(error, _BAD_REQUESTS):
        return problem_of_status(400, detail="The request could not be read.")
    if is_retried(error):
        return problem_of_refusal(DatabaseBusy())
    if isinstance(error, OperationalError | InterfaceError):
        return problem_of_refusal(_refusal_of_database(error))
    return None


def _refusal_of_database(error: OperationalError | InterfaceError) -> errors.OperationError:
    if isinstance(error.__cause__, psycopg.errors.QueryCanceled):
        return errors.DeadlineExceeded()
    if isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
        return DatabaseBusy()
    return database_unreachable()


def database_unreachable() -> errors.Unavailable:
    """The error while the database cannot be reached."""
    return errors.Unavailable("The database is unavailable. Try again shortly.")


def invalid(error: drf_errors.ValidationError) -> errors.Invalid:
    """What a serializer raised as the error of an operation."""
    return errors.Invalid(list(_input_errors(error.detail)), "The input is invalid.")


def _problem_of_drf(error: drf_errors.APIException) -> Problem:
    headers: dict[str, str] = {}
    if header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = header
    if isinstance(error, drf_errors.ValidationError):
        return Problem(
            status=400,
            code="invalid",
            detail="The input is invalid.",
            errors=list(_input_errors(error.detail)),
            headers=headers,
        )
    detail: Any
    code: Any
    if isinstance(error.detail, dict):
        # simplejwt says {"detail": …, "code": …}
        detail, code = error.detail.get("detail", ""), error.detail.get("code", "")
    elif isinstance(error.detail, list):
        detail, code = " ".join(map(str, error.detail)), ""
    else:
        detail, code = error.detail, error.detail.code
    status = error.status_code
    if code in ("", "error", "throttled", "parse_error"):
        code = CODES.get(status, "error")
    return Problem(status=status, code=str(code), detail=str(detail), headers=headers)


def _input_errors(detail: Any, pointer: str = "") -> Iterator[InputError]:
    """The errors of a serializer, one for each place and reason."""
    if isinstance(detail, Mapping):
        for name, child in detail.items():
            whole = name == "non_field_errors"
            yield from _input_errors(
                child, pointer if whole else f"{pointer}/{pointer_token(name)}"
            )
    elif isinstance(detail, Sequence) and not isinstance(detail, str):
        for index, child in enumerate(detail):
            is_place = isinstance(child, Mapping | list)
            yield from _input_errors(child, f"{pointer}/{index}" if is_place else pointer)
    else:
        code = getattr(detail, "code", None) or "invalid"
        yield InputError(pointer=pointer, code=code, detail=str(detail))


def exception_handler(error: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """REST framework's hook: the response for an `error` raised in a view, None for a 500.

    An error that a retried transaction may fix is left on the request as `retried_error`, for the
    middleware that owns the transaction.
    """
    problem = problem_of(error)
    if problem is None:
        return None
    request = context["request"]
    http_request: HttpRequest = getattr(request, "_request", request)
    if is_retried(error):
        http_request.retried_error = error  # type: ignore[attr-defined]  # ours, see above
    return problem_response(request=http_request, problem=problem)
