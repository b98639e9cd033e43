"""Text fields of forms accept what those of the API accept."""

from __future__ import annotations

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from oms.core.text import has_control_characters


def forbid_control_characters(form: forms.BaseForm) -> None:
    """Of the form's text fields, only text areas accept tabs and line breaks.

    Names go into headers of mails and cells of spreadsheets, which have one line.
    """
    for field in form.fields.values():
        if isinstance(field, forms.CharField):
            is_area = isinstance(field.widget, forms.Textarea)
            field.validators.append(_text_area if is_area else _line)


def _line(value: str) -> None:
    if has_control_characters(value):
        raise ValidationError(_("Control characters are not allowed."), code="forbidden_character")


def _text_area(value: str) -> None:
    if has_control_characters(value, allowed="\t\n\r"):
        raise ValidationError(_("Control characters are not allowed."), code="forbidden_character")
