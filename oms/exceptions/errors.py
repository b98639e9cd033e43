"""Errors of exceptions."""

from __future__ import annotations

from oms.core.errors import Conflict


class ExceptionAlreadyResolved(Conflict):
    """The exception is resolved already."""

    code = "exception_already_resolved"
