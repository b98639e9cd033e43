"""The page to which the `type` of every problem points."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from oms.core.errors import OperationError
from oms.http.problems import CODES, problem_of_class, title_of


def problem_types(request: HttpRequest) -> HttpResponse:
    """All problem types, each with its code as anchor."""
    described = {code: (status, f"{HTTPStatus(status).phrase}.") for status, code in CODES.items()}
    for error_class in _subclasses(OperationError):
        problem = problem_of_class(error_class)
        described[problem.code] = (problem.status, problem.detail)
    types = [
        {"code": code, "title": title_of(code), "status": status, "detail": detail}
        for code, (status, detail) in sorted(described.items())
    ]
    return render(request, "http/problem_types.html", {"types": types})


def _subclasses(error_class: type[OperationError]) -> Iterator[type[OperationError]]:
    for subclass in error_class.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)
