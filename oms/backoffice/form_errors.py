"""Errors of operations, shown in the form that called them."""

from __future__ import annotations

from collections.abc import Mapping

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from oms.core.errors import OperationError, StaleVersion

_STALE = _(
    "This was changed after you opened the page, so nothing was done. Go back to see what changed, "
    "then start again."
)


def error_text(error: OperationError) -> str:
    """The message of the error and of each input error."""
    if isinstance(error, StaleVersion):
        return str(_STALE)
    return " ".join([gettext(error.message), *(gettext(part.detail) for part in error.errors)])


def add_errors(
    form: forms.BaseForm, error: OperationError, *, fields: Mapping[str, str] | None = None
) -> None:
    """Add the error to the form: to the fields it names, otherwise to the form as a whole.

    `fields` maps error codes to names of form fields.
    """
    field = (fields or {}).get(error.code)
    if field in form.fields:
        form.add_error(field, error_text(error))
        return
    is_complete = bool(error.errors)
    for part in error.errors:
        name = part.pointer.rpartition("/")[2]
        if name in form.fields:
            form.add_error(name, gettext(part.detail))
        else:
            is_complete = False
    if not is_complete:
        form.add_error(None, error_text(error))
