"""Parsing of request bodies, whose size oms/http/middleware/bodies.py has limited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.parsers import BaseParser

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
