"""The header with a client's deadline, and headers that cannot be read."""

from __future__ import annotations

from oms.core.errors import InputError, Invalid

DEADLINE = "X-Request-Timeout-Ms"
MAX_MILLISECONDS = 30_000


class InvalidHeader(Invalid):
    """A header is not valid."""

    code = "invalid_header"

    def __init__(self, header: str, detail: str) -> None:
        error = InputError(pointer="", code="invalid", detail=detail, data={"header": header})
        super().__init__([error], f"{header} is not valid.")


class PreconditionUnsupported(Invalid):
    """If-Match is given, but what this changes has no version."""

    code = "precondition_unsupported"

    def __init__(self) -> None:
        detail = "Leave it out: there is no version that it could be compared with."
        error = InputError(
            pointer="", code="unsupported", detail=detail, data={"header": "If-Match"}
        )
        super().__init__([error])


def deadline_of(text: str | None) -> float | None:
    """What the header DEADLINE allows, in seconds; None without it. Raises InvalidHeader."""
    seconds = requested_seconds(text)
    if text is not None and seconds is None:
        detail = f"A whole number of milliseconds from 1 to {MAX_MILLISECONDS}."
        raise InvalidHeader(DEADLINE, detail)
    return seconds


def requested_seconds(text: str | None) -> float | None:
    """What the header DEADLINE allows, in seconds; None without one that is valid."""
    if not text or not (text.isascii() and text.isdecimal() and len(text) <= 5):
        return None
    milliseconds = int(text)
    return milliseconds / 1000 if 1 <= milliseconds <= MAX_MILLISECONDS else None
