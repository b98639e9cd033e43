"""One request, answered by the fast path and by Django alone."""

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
    """Two clients of one session, one by Django alone and one by the fast path."""

    def __init__(self, user: User) -> None:
        self.token = tokens_for(user).access
        self.django, self.fast = APIClient(), FastPathClient()
        self.present(f"Bearer {self.token}")

    def present(self, credentials: str) -> None:
        """Let both clients send that as their Authorization."""
        for client in (self.django, self.fast):
            client.credentials(HTTP_AUTHORIZATION=credentials)

    def same(self, method: str, path: str, *args: Any, taken: bool = True, **options: Any) -> Any:
        """The fast path's answer, which is Django's but for what must differ."""
        by_django = getattr(self.django, method)(path, *args, **options)
        by_fast_path = getattr(self.fast, method)(path, *args, **options)
        assert self.fast.taken[-1] is taken
        assert by_fast_path.status_code == by_django.status_code, by_fast_path.content
        assert compared(by_fast_path) == compared(by_django)
        return by_fast_path


def compared(answer: Any) -> Mapping[str, str]:
    headers = {name: value for name, value in answer.headers.items() if name not in _DIFFER}
    if answer.status_code == 201:
        headers.pop("Content-Length", None)  # prices of one length, but nobody promised
    if answer.status_code in (204, 304):
        headers.pop("Content-Length", None)  # which the server leaves out of both
    present = {name: "…" for name in _DIFFER if name in answer.headers}
    return {**headers, **present}
