"""The deadline that a client sets."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from oms.core.deadline import deadline_in
from oms.http.headers import DEADLINE, deadline_of
from oms.http.middleware.problems import answering_problems


class DeadlineMiddleware:
    """Puts the request under the deadline of its X-Request-Timeout-Ms, if it has one.

    It counts from the request's arrival. `oms.http.transactions` applies it to the database.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    @answering_problems
    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        seconds = deadline_of(request.headers.get(DEADLINE))
        if seconds is None:
            return self.get_response(request)
        with deadline_in(seconds=seconds):
            return self.get_response(request)
