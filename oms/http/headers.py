"""Headers that cannot be read."""

from __future__ import annotations

from oms.core.errors import InputError, Invalid


class InvalidHeader(Invalid):
    """A header is not valid."""

    code = "invalid_header"

    def __init__(self, header: str, detail: str) -> None:
        error = InputError(pointer="", code="invalid", detail=detail, data={"header": header})
        super().__init__([error], f"{header} is not valid.")
