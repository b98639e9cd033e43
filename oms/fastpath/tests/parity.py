"""One question, asked of the lane and of Django alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.test import APIClient

from oms.testing.factories import tokens_for
from oms.testing.fastpath import FastPathClient
from oms.users.models import User

# What two answers to one question must not share, and times.
_DIFFER = frozenset({"X-Request-ID", "Location", "RateLimit", "Retry-After"})


class Both:
    """One user's two clients, of Django alone and of the lane, with one session."""

    def __init__(self, user: User) -> None:
        self.token = tokens_for(user).access
        self.django, self.lane = APIClient(), FastPathClient()
        self.present(f"Bearer {self.token}")

    def present(self, credentials: str) -> None:
        """Let both clients send that as their Authorization."""
        for client in (self.django, self.lane):
            client.credentials(HTTP_AUTHORIZATION=credentials)

    def same(self, method: str, path: str, *args: Any, taken: bool = True, **options: Any) -> Any:
        """The lane's answer, which is Django's but for what must differ."""
        by_django = getattr(self.django, method)(path, *args, **options)
        by_lane = getattr(self.lane, method)(path, *args, **options)
        assert self.lane.taken[-1] is taken
        assert by_lane.status_code == by_django.status_code, by_lane.content
        assert compared(by_lane) == compared(by_django)
        return by_lane


def compared(answer: Any) -> Mapping[str, str]:
    headers = {name: value for name, value in answer.headers.items() if name not in _DIFFER}
    if answer.status_code == 201:
        headers.pop("Content-Length", None)  # prices of one length, but nobody promised
    if answer.status_code == 304:
        headers.pop("Content-Length", None)  # which the server leaves out of both
    present = {name: "…" for name in _DIFFER if name in answer.headers}
    return {**headers, **present}
