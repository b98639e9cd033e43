"""Input and output of the users API."""

from __future__ import annotations

from typing import Any

from django.core.validators import RegexValidator
from rest_framework import serializers

from oms.api.fields import BooleanField, CharField, EmailField
from oms.api.serializers import InputSerializer, OutputSerializer

MAX_PASSWORD_LENGTH = 128
# Ours have about 400 characters.
MAX_TOKEN_LENGTH = 4096

# May be empty where the field allows it; surrounding spaces are trimmed before.
_PHONE = RegexValidator(r"^(\+?[0-9][0-9 ()/.-]{2,17}[0-9()/.-])?$", "Enter a phone number.")


def _password(**options: Any) -> CharField:
    # Surrounding spaces are part of a password.
    return CharField(max_length=MAX_PASSWORD_LENGTH, trim_whitespace=False, **options)


def _phone(**options: Any) -> CharField:
    return CharField(max_length=20, allow_blank=True, validators=[_PHONE], **options)


class RegistrationInput(InputSerializer):
    email = EmailField(help_text="Used to sign in; case-insensitive.")
    password = _password(min_length=8, help_text="At least 8 characters, no common password.")
    full_name = CharField(max_length=200)
    phone = _phone(required=False)


class ProfileInput(InputSerializer):
    """PUT requires `full_name` and `phone`; other missing fields keep their values."""

    full_name = CharField(max_length=200)
    phone = _phone(help_text="Empty if there is none.")
    email = EmailField(required=False, help_text="Used to sign in; case-insensitive.")
    is_staff = BooleanField(required=False, help_text="Only superusers may set it.")
    is_active = BooleanField(
        required=False, help_text="Only staff may set it; false ends all sessions of the user."
    )


class UserOutput(OutputSerializer):
    id = serializers.UUIDField()
    email = serializers.EmailField()
    full_name = serializers.CharField()
    phone = serializers.CharField(help_text="Empty if there is none.")
    is_staff = serializers.BooleanField()
    created_at = serializers.DateTimeField()


class StaffUserOutput(UserOutput):
    """A user as shown to staff."""

    is_active = serializers.BooleanField(required=False, help_text="Only shown to staff.")


class CredentialsInput(InputSerializer):
    email = EmailField()
    password = _password()


class RefreshInput(InputSerializer):
    refresh = CharField(max_length=MAX_TOKEN_LENGTH, help_text="The latest refresh token.")


class TokenPairOutput(OutputSerializer):
    access = serializers.CharField(help_text="A bearer token; expires after 15 minutes.")
    refresh = serializers.CharField(help_text="Expires after 7 days; can be used once.")
