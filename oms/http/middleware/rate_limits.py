"""Limits on how often a client may ask."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from oms.http.middleware.problems import answering_problems, is_api
from oms.http.problems import Problem, problem_response
from oms.http.rate_limits import Counted, count, limits_for


class RateLimitMiddleware:
    """Counts every request of a limited route, whatever its answer, and refuses those past it.

    It speaks the headers of draft-ietf-httpapi-ratelimit-headers (structured fields): a policy
    allows `q` requests in `w` seconds; `r` of them remain, and more come back within `t` seconds.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._limit_api(request) if is_api(request) else self._limit(request)

    @answering_problems
    def _limit_api(self, request: HttpRequest) -> HttpResponseBase:
        return self._limit(request)

    def _limit(self, request: HttpRequest) -> HttpResponseBase:
        counted = [count(limit) for limit in limits_for(request)]
        if not counted:
            return self.get_response(request)
        exceeded = [state for state in counted if not state.allowed]
        response = _refusal(request, exceeded) if exceeded else self.get_response(request)
        response["RateLimit-Policy"] = ", ".join(
            f'"{state.name}";q={state.amount};w={state.window}' for state in counted
        )
        response["RateLimit"] = ", ".join(
            f'"{state.name}";r={state.remaining};t={state.reset_in}' for state in counted
        )
        return response


def _refusal(request: HttpRequest, exceeded: Sequence[Counted]) -> HttpResponse:
    wait = max(state.reset_in for state in exceeded)
    headers = {"Retry-After": str(wait)}
    if not is_api(request):
        context = {**admin.site.each_context(request), "wait": wait}
        page = render(request, "back_office/too_many_logins.html", context, status=429)
        for name, value in {**headers, "Cache-Control": "no-store"}.items():
            page[name] = value
        return page
    names = ", ".join(state.name for state in exceeded)
    problem = Problem(
        status=429,
        code="rate_limited",
        detail=f"Too many requests ({names}); try again in {wait} s.",
        headers=headers,
    )
    return problem_response(request=request, problem=problem)
