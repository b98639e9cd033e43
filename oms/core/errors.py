"""The typed errors of operations.

They carry data and are independent of HTTP: `oms.http.problems` maps each family to a status and a
problem document. A class's docstring is its default message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from oms.core.permissions import Permission


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
        """The invalid places of the input; empty if the input is not the cause."""
        return ()


class Invalid(OperationError):
    """The input is invalid."""

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
    """Authentication is required."""

    code = "not_authenticated"


class Forbidden(OperationError):
    """You don't have permission to do this."""

    code = "permission_denied"


class PermissionDenied(Forbidden):
    """You lack the permission for this; `permission` names it."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission
        super().__init__(
            f"You need the permission “{permission.label}” ({permission}) for this.",
            permission=permission.value,
        )


class NotFound(OperationError):
    """Not found."""

    code = "not_found"


class Conflict(OperationError):
    """The state of the object does not allow this."""

    code = "conflict"


class Gone(OperationError):
    """It is no longer available."""

    code = "gone"


class StaleVersion(OperationError):
    """The object has changed since the version in If-Match; `current_version` is its version."""

    code = "precondition_failed"

    def __init__(self, *, current_version: int) -> None:
        super().__init__(current_version=current_version)


class Unprocessable(OperationError):
    """The request is well-formed but cannot be processed."""

    code = "unprocessable"


class TooManyRequests(OperationError):
    """There are too many requests; try again later."""

    code = "rate_limited"
    retry_after: int = 10  # seconds


class Unavailable(OperationError):
    """The service is busy; try again shortly."""

    code = "unavailable"
    retry_after: int = 1  # seconds


class DeadlineExceeded(OperationError):
    """The request's deadline has passed; nothing was changed."""

    code = "deadline_exceeded"
