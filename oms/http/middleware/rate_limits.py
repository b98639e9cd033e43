"""Limits on how often a client may ask."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from oms.http.middleware.problems import answering_problems
from oms.http.problems import Problem, problem_response
from oms.http.rate_limits import count, limits_for


class RateLimitMiddleware:
    """Counts every request of a limited route, whatever its answer, and refuses those past it.

    It speaks the headers of draft-ietf-httpapi-ratelimit-headers (structured fields): a policy
    allows `q` requests in `w` seconds; `r` of them remain, and more come back within `t` seconds.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    @answering_problems
    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        counted = [count(limit) for limit in limits_for(request)]
        if not counted:
            return self.get_response(request)
        exceeded = [state for state in counted if not state.allowed]
        if exceeded:
            wait = max(state.reset_in for state in exceeded)
            names = ", ".join(state.name for state in exceeded)
            problem = Problem(
                status=429,
                code="rate_limited",
                detail=f"Too many requests ({names}); try again in {wait} s.",
                headers={"Retry-After": str(wait)},
            )
            response: HttpResponseBase = problem_response(request=request, problem=problem)
        else:
            response = self.get_response(request)
        response["RateLimit-Policy"] = ", ".join(
            f'"{state.name}";q={state.amount};w={state.window}' for state in counted
        )
        response["RateLimit"] = ", ".join(
            f'"{state.name}";r={state.remaining};t={state.reset_in}' for state in counted
        )
        return response
