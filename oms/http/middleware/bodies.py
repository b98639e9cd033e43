"""How large a body may be."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from oms.http.middleware.problems import answering_problems
from oms.http.problems import problem_of_status, problem_response


class BodyLimitMiddleware:
    """Refuses a body by its announced length, before a byte of it is read.

    Bulk routes end in "/bulk" and may have more. A body of unknown length is 411: WSGI gives us
    no end of it, so it would silently count as none.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    @answering_problems
    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if fault := _fault(request):
            status, detail = fault
            return problem_response(
                request=request, problem=problem_of_status(status, detail=detail)
            )
        return self.get_response(request)


def _fault(request: HttpRequest) -> tuple[int, str] | None:
    announced = request.META.get("CONTENT_LENGTH") or ""
    if not announced:
        if "Transfer-Encoding" in request.headers:
            return 411, "Send the body with a Content-Length."
        return None
    if not (announced.isascii() and announced.isdecimal()):
        return 400, "Content-Length is no number."
    bulk = request.path.endswith("/bulk")
    limit = settings.API_BULK_BODY_LIMIT if bulk else settings.API_BODY_LIMIT
    if len(announced) > 18 or int(announced) > limit:
        return 413, f"A body here has at most {limit} bytes."
    return None
