"""Errors of the provider's API."""

from __future__ import annotations


class ApiError(Exception):
    """The request was rejected and nothing was done.

    The response is `status` with {"error": {"code", "message"}}.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
