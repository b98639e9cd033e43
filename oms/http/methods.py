"""Pages that can only be read."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from oms.http.problems import problem_of_status, problem_response

_ALLOW = "GET, HEAD, OPTIONS"


def read_only(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """`view` for GET and HEAD; OPTIONS is answered 204, any other method with a 405 problem."""

    @wraps(view)
    def reading(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method in ("GET", "HEAD"):
            return view(request, *args, **kwargs)
        if request.method == "OPTIONS":
            return HttpResponse(status=204, headers={"Allow": _ALLOW})
        problem = problem_of_status(405, detail=f"The method {request.method} is not allowed here.")
        response = problem_response(request=request, problem=problem)
        response["Allow"] = _ALLOW
        return response

    # Nothing here changes anything; without this a POST would get Django's page about cookies.
    reading.csrf_exempt = True  # type: ignore[attr-defined]  # as Django's decorator sets it
    return reading
