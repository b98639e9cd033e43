"""What calls about users take and give."""

from __future__ import annotations

from typing import Any

from django.core.validators import RegexValidator
from rest_framework import serializers

from oms.api.fields import BooleanField, CharField, EmailField
from oms.api.serializers import InputSerializer, OutputSerializer

MAX_PASSWORD_LENGTH = 128
# A JWT of ours has some 400 characters.
MAX_TOKEN_LENGTH = 4096

# Or nothing, where a field allows that; blanks at the ends are cut off before.
_PHONE = RegexValidator(r"^(\+?[0-9][0-9 ()/.-]{2,17}[0-9()/.-])?$", "Enter a phone number.")


def _password(**options: Any) -> CharField:
    # Blanks at its ends belong to a password.
    return CharField(max_length=MAX_PASSWORD_LENGTH, trim_whitespace=False, **options)


def _phone(**options: Any) -> CharField:
    return CharField(max_length=20, allow_blank=True, validators=[_PHONE], **options)


class RegistrationInput(InputSerializer):
    email = EmailField(help_text="The login, in whatever case.")
    password = _password(min_length=8, help_text="At least 8 characters, and not an easy guess.")
    full_name = CharField(max_length=200)
    phone = _phone(required=False)


class ProfileInput(InputSerializer):
    """PUT needs the profile, `full_name` and `phone`; the rest stays where it is missing."""

    full_name = CharField(max_length=200)
    phone = _phone(help_text="Empty for none.")
    email = EmailField(required=False, help_text="The login, in whatever case.")
    is_staff = BooleanField(required=False, help_text="Settable by superusers only.")
    is_active = BooleanField(
        required=False, help_text="Settable by staff only; false ends all sessions of the user."
    )


class UserOutput(OutputSerializer):
    id = serializers.UUIDField()
    email = serializers.EmailField()
    full_name = serializers.CharField()
    phone = serializers.CharField(help_text="Empty for none.")
    is_staff = serializers.BooleanField()
    created_at = serializers.DateTimeField()


class StaffUserOutput(UserOutput):
    """What staff see of a user."""

    is_active = serializers.BooleanField(required=False, help_text="Shown to staff.")


class CredentialsInput(InputSerializer):
    email = EmailField()
    password = _password()


class RefreshInput(InputSerializer):
    refresh = CharField(max_length=MAX_TOKEN_LENGTH, help_text="The newest refresh token.")


class TokenPairOutput(OutputSerializer):
    access = serializers.CharField(help_text="For `Authorization: Bearer`; good for 15 minutes.")
    refresh = serializers.CharField(help_text="Good for 7 days, and for one use.")
