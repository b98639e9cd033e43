"""Bodies that are too large, or of no known length."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from oms.http.bodies import body_fault
from oms.http.middleware.problems import is_api
from oms.http.problems import problem_of_status, problem_response


class BodyLimitMiddleware:
    """Refuses a body by its announced length, before a byte of it is read."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        fault = body_fault(request)
        if fault is None:
            return self.get_response(request)
        status, detail = fault
        if is_api(request):
            return problem_response(
                request=request, problem=problem_of_status(status, detail=detail)
            )
        return HttpResponse(detail, status=status, content_type="text/plain")
