"""What an operation refused, told in the form that asked for it."""

from __future__ import annotations

from collections.abc import Mapping

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from oms.core.errors import OperationError, StaleVersion

_STALE = _(
    "Somebody else has changed this in the meantime. Load the page again, look at their "
    "changes, and then make yours."
)


def words_of(refusal: OperationError) -> str:
    """The refusal for a person, with each place of the input that caused it."""
    if isinstance(refusal, StaleVersion):
        return str(_STALE)
    details = [gettext(error.detail) for error in refusal.errors]
    return " ".join([gettext(refusal.message), *details])


def add_refusal(
    form: forms.BaseForm, refusal: OperationError, *, fields: Mapping[str, str] | None = None
) -> None:
    """Add the refusal to the form's errors, at its fields where it names them.

    `fields` maps codes of refusals to the form's fields that they are about.
    """
    field = (fields or {}).get(refusal.code)
    if field in form.fields:
        form.add_error(field, words_of(refusal))
        return
    elsewhere = not refusal.errors
    for error in refusal.errors:
        name = error.pointer.rpartition("/")[2]
        if name in form.fields:
            form.add_error(name, gettext(error.detail))
        else:
            elsewhere = True
    if elsewhere:
        form.add_error(None, words_of(refusal))
