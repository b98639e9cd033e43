"""Ensures that every error under /api is a problem document and never a page."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import structlog
from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import patch_vary_headers

from oms.http.problems import (
    CONTENT_TYPE,
    METHODS,
    is_api,
    problem_of,
    problem_of_fault,
    problem_of_status,
    problem_response,
)

log = structlog.get_logger(__name__)

Layer = Callable[[Any, HttpRequest], HttpResponseBase]

_DETAILS = {
    404: "Not found.",
}


class ProblemMiddleware:
    """Answers problems for what other layers, Django itself and bugs would answer pages for.

    It refuses null characters in addresses, which PostgreSQL would refuse too late, and queries
    that are not UTF-8, of which Django would make other texts.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not is_api(request):
            return self.get_response(request)
        refusal = _refusal(request)
        response = refusal or self.get_response(request)
        if response.status_code >= 400 and response.get("Content-Type") != CONTENT_TYPE:
            response = _as_problem(request, response)
        if not response.has_header("Cache-Control"):
            # An answer depends on who asks; what has an ETag may be kept and asked about again.
            private = "private, no-cache" if response.has_header("ETag") else "no-store"
            response["Cache-Control"] = private
        patch_vary_headers(response, ["Authorization"])
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """The answer to what a view raised and REST framework's hook left: mostly a bug."""
        return answer_to(error, request=request) if is_api(request) else None


def answer_to(error: Exception, *, request: HttpRequest) -> HttpResponse:
    """The problem that answers `error`, which is logged if it is a bug.

    Call it while the error is being handled.
    """
    problem = problem_of(error)
    if problem is None:
        log.exception("request_failed", method=request.method, path=request.path)
        # What Django itself would do; its test client and error reporters listen to it.
        got_request_exception.send(sender=ProblemMiddleware, request=request)
        problem = problem_of_fault()
    return problem_response(request=request, problem=problem)


def answering_problems(layer: Layer) -> Layer:
    """Make the `__call__` of a middleware answer what it raises itself with a problem.

    Django turns an exception between two layers into a page before the outer one sees it.
    """

    @functools.wraps(layer)
    def answering(self: Any, request: HttpRequest) -> HttpResponseBase:
        if not is_api(request):
            response: HttpResponseBase = self.get_response(request)
            return response
        try:
            return layer(self, request)
        except Exception as error:  # a bug is answered too, and logged
            return answer_to(error, request=request)

    return answering


def _refusal(request: HttpRequest) -> HttpResponse | None:
    if request.method not in METHODS:
        problem = problem_of_status(405, detail=f"The method {request.method} is not known here.")
        response = problem_response(request=request, problem=problem)
        response["Allow"] = ", ".join(sorted(METHODS))
        return response
    try:
        query = unquote(request.META.get("QUERY_STRING", ""), errors="strict")
    except UnicodeDecodeError:
        problem = problem_of_status(400, detail="The query is not UTF-8.")
        return problem_response(request=request, problem=problem)
    if "\x00" in request.path or "\x00" in query:
        problem = problem_of_status(
            400,
            code="forbidden_character",
            detail="Null characters are not allowed in an address.",
        )
        return problem_response(request=request, problem=problem)
    return None


def _as_problem(request: HttpRequest, response: HttpResponseBase) -> HttpResponse:
    status = response.status_code
    problem = problem_of_status(status, detail=_DETAILS.get(status, ""))
    if status == 500:
        problem = problem_of_fault()
    replacement = problem_response(request=request, problem=problem)
    for header, value in response.items():
        if not header.lower().startswith("content-"):
            replacement[header] = value
    return replacement
