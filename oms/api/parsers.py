"""What requests are made of. The size of a body is limited before: see middleware/bodies.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.parsers import BaseParser

from oms.http.payloads import decode


class JSONParser(BaseParser):
    """Strict JSON; see `oms.http.payloads.decode` for what is refused."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return decode(stream.read())
