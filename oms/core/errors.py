"""The typed refusals of operations.

An operation that will not do what it was asked raises one of these. They carry data and know no
HTTP: `oms.http.problems` alone turns each family into a status and a problem document.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True, kw_only=True)
class InputError:
    """What is wrong with one place of the input.

    `pointer` is an RFC 6901 JSON pointer into the body, such as "/items/0/quantity", and "" for
    the input as a whole. `data` holds further members for the client.
    """

    pointer: str
    code: str
    detail: str
    data: Mapping[str, Any] = field(default_factory=dict)


class OperationError(Exception):
    """The operation was refused."""

    code: ClassVar[str] = "refused"

    def __init__(self, message: str = "", /, **data: Any) -> None:
        self.message = message or " ".join((type(self).__doc__ or "").split())
        self.data: dict[str, Any] = data
        super().__init__(self.message)

    @property
    def errors(self) -> Sequence[InputError]:
        """The places of the input that caused the refusal; empty if it is no matter of input."""
        return ()


class Invalid(OperationError):
    """The input is not valid."""

    code = "invalid"

    def __init__(
        self, errors: Sequence[InputError] = (), message: str = "", /, **data: Any
    ) -> None:
        self._errors = tuple(errors)
        super().__init__(message, **data)

    @property
    def errors(self) -> Sequence[InputError]:
        return self._errors


class NotAuthenticated(OperationError):
    """Valid credentials are needed."""

    code = "not_authenticated"


class Forbidden(OperationError):
    """The caller may not do this."""

    code = "permission_denied"


class NotFound(OperationError):
    """There is no such object, or it is not the caller's."""

    code = "not_found"


class Conflict(OperationError):
    """The state of the object does not allow this."""

    code = "conflict"


class StaleVersion(OperationError):
    """The object has changed since the version named in If-Match."""

    code = "precondition_failed"


class Unprocessable(OperationError):
    """The request is well formed and yet cannot be processed."""

    code = "unprocessable"


class Unavailable(OperationError):
    """The service is busy; try again shortly.

    `retry_after` is in seconds.
    """

    code = "unavailable"
    retry_after: int = 1


class DeadlineExceeded(OperationError):
    """The deadline of the request has passed; nothing was changed."""

    code = "deadline_exceeded"
