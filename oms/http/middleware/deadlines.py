"""The deadline that a client sets."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from oms.core.deadline import deadline_in
from oms.http.headers import DEADLINE, MAX_MILLISECONDS, InvalidHeader, requested_seconds
from oms.http.middleware.problems import answering_problems


class DeadlineMiddleware:
    """Puts the request under the deadline of its X-Request-Timeout-Ms, if it has one.

    It counts from the request's arrival. `oms.http.transactions` applies it to the database.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    @answering_problems
    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        text = request.headers.get(DEADLINE)
        if text is None:
            return self.get_response(request)
        seconds = requested_seconds(text)
        if seconds is None:
            detail = f"A whole number of milliseconds from 1 to {MAX_MILLISECONDS}."
            raise InvalidHeader(DEADLINE, detail)
        with deadline_in(seconds=seconds):
            return self.get_response(request)
