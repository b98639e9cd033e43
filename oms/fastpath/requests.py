"""Requests as the server hands them over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(kw_only=True, slots=True)
class FastPathRequest:
    """A request; the names of `headers` are lower case, and `body` is set once it was read."""

    method: str
    path: str
    query: bytes
    headers: Mapping[str, str]
    scheme: str
    remote_address: str
    body: bytes = b""
