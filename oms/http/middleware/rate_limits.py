"""Rate limits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from oms.http.middleware.problems import answering_problems, is_api
from oms.http.problems import problem_response
from oms.http.rate_limits import Counted, rate_limit_headers, rate_limit_problem
from oms.http.route_limits import count_request


class RateLimitMiddleware:
    """Counts every request of a limited route, and rejects it past a limit."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._limit_api(request) if is_api(request) else self._limit(request)

    @answering_problems
    def _limit_api(self, request: HttpRequest) -> HttpResponseBase:
        return self._limit(request)

    def _limit(self, request: HttpRequest) -> HttpResponseBase:
        counted = count_request(request)
        if not counted:
            return self.get_response(request)
        exceeded = [state for state in counted if not state.allowed]
        response = _refusal(request, exceeded) if exceeded else self.get_response(request)
        # The view may have counted what the body adds.
        for name, value in rate_limit_headers(getattr(request, "counted", counted)).items():
            response[name] = value
        return response


def _refusal(request: HttpRequest, exceeded: Sequence[Counted]) -> HttpResponse:
    problem = rate_limit_problem(exceeded)
    if is_api(request):
        return problem_response(request=request, problem=problem)
    wait = int(problem.headers["Retry-After"])
    context = {**admin.site.each_context(request), "wait": wait}
    page = render(request, "429.html", context, status=429)
    for name, value in {**problem.headers, "Cache-Control": "no-store"}.items():
        page[name] = value
    return page
