"""Parsing of request bodies, whose size oms/http/middleware/bodies.py has limited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from oms.http.payloads import decode


class JSONParser(BaseParser):
    """Strict JSON; see `oms.http.payloads.decode`."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return decode(stream.read())


class MergePatchParser(JSONParser):
    """A JSON merge patch (RFC 7396), which the view applies."""

    media_type = "application/merge-patch+json"

    @classmethod
    def is_of(cls, request: Request) -> bool:
        """Whether the body of the request is one."""
        return bool(request.content_type.partition(";")[0].strip().lower() == cls.media_type)
