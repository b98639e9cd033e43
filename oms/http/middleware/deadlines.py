"""The deadline that a client sets."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from oms.core.deadline import deadline_in
from oms.http.headers import InvalidHeader
from oms.http.middleware.problems import answering_problems

HEADER = "X-Request-Timeout-Ms"
MAX_MILLISECONDS = 30_000


class DeadlineMiddleware:
    """Puts the request under the deadline of its X-Request-Timeout-Ms, if it has one.

    `oms.http.transactions` applies the deadline to the database.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    @answering_problems
    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        text = request.headers.get(HEADER)
        if text is None:
            return self.get_response(request)
        milliseconds = int(text) if text.isascii() and text.isdecimal() and len(text) <= 5 else 0
        if not 1 <= milliseconds <= MAX_MILLISECONDS:
            detail = f"A whole number of milliseconds from 1 to {MAX_MILLISECONDS}."
            raise InvalidHeader(HEADER, detail)
        with deadline_in(seconds=milliseconds / 1000):
            return self.get_response(request)
