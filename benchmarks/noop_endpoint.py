"""An endpoint that does nothing but answer: what is measured on it is the loader's own cost."""

from __future__ import annotations

from typing import Any

_BODY = '{"items":[{"quantity":1}],"padding":"' + "x" * 900 + '"}'
_HEADERS = [("content-type", "application/json")]


async def application(scope: Any, protocol: Any) -> None:
    """An RSGI application (granian's own protocol) with one fixed answer of 201."""
    if scope.proto == "http":
        await protocol()
        protocol.response_str(status=201, headers=_HEADERS, body=_BODY)
