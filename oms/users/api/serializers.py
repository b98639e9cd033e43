"""Input and output of the users API."""

from __future__ import annotations

from typing import Any

from django.core.validators import RegexValidator
from rest_framework import serializers

from oms.api.fields import BooleanField, CharField, ChoiceField, EmailField, LanguageField
from oms.api.serializers import InputSerializer, OutputSerializer
from oms.core.permissions import ROLES, Permission, permissions_of_codes
from oms.users.models import User

MAX_PASSWORD_LENGTH = 128
MAX_ROLES = 20
# Ours have about 400 characters.
MAX_TOKEN_LENGTH = 4096

# May be empty where the field allows it; surrounding spaces are trimmed before.
_PHONE = RegexValidator(r"^(\+?[0-9][0-9 ()/.-]{2,17}[0-9()/.-])?$", "Enter a phone number.")


def _password(**options: Any) -> CharField:
    # Surrounding spaces are part of a password.
    return CharField(max_length=MAX_PASSWORD_LENGTH, trim_whitespace=False, **options)


def _phone(**options: Any) -> CharField:
    return CharField(max_length=20, allow_blank=True, validators=[_PHONE], **options)


def _language() -> LanguageField:
    return LanguageField(
        required=False,
        allow_blank=True,
        help_text="A language tag such as `de` or `pt-BR` (BCP 47). Empty: the shop's language.",
    )


class RegistrationInput(InputSerializer):
    email = EmailField(help_text="Used to sign in; case-insensitive.")
    password = _password(min_length=8, help_text="At least 8 characters, no common password.")
    full_name = CharField(max_length=200)
    phone = _phone(required=False)
    language = _language()


class ProfileInput(InputSerializer):
    """PUT requires `full_name` and `phone`; other missing fields keep their values."""

    full_name = CharField(max_length=200)
    phone = _phone(help_text="Empty if there is none.")
    email = EmailField(required=False, help_text="Used to sign in; case-insensitive.")
    language = _language()
    is_staff = BooleanField(required=False, help_text="Only staff with `staff.manage` may set it.")
    is_active = BooleanField(
        required=False, help_text="Only staff may set it; false ends all sessions of the user."
    )


class UserOutput(OutputSerializer):
    id = serializers.UUIDField()
    email = serializers.EmailField()
    full_name = serializers.CharField()
    phone = serializers.CharField(help_text="Empty if there is none.")
    language = serializers.CharField(
        help_text="A language tag (BCP 47). Empty: the shop's own language."
    )
    is_staff = serializers.BooleanField()
    created_at = serializers.DateTimeField()


class StaffUserOutput(UserOutput):
    """A user as shown to staff."""

    is_active = serializers.BooleanField(required=False, help_text="Only shown to staff.")


def _roles(**options: Any) -> Any:
    return serializers.ListField(child=CharField(max_length=150), max_length=MAX_ROLES, **options)


def _permissions(**options: Any) -> Any:
    return serializers.ListField(
        child=ChoiceField(choices=[(each.value, each.label) for each in Permission]),
        max_length=len(Permission),
        **options,
    )


_ROLES_HELP = (
    f"{', '.join(f'`{role}`' for role in ROLES)}, or the name of a group of the shop's own."
)
_PERMISSIONS_HELP = "Granted besides those of the roles."


class NewStaffInput(InputSerializer):
    """A new member of the staff."""

    email = EmailField(help_text="Used to sign in; case-insensitive. The link is mailed to it.")
    full_name = CharField(max_length=200)
    roles = _roles(default=list, help_text=_ROLES_HELP)
    permissions = _permissions(default=list, help_text=_PERMISSIONS_HELP)
    is_active = BooleanField(default=True)


class StaffInput(InputSerializer):
    """The changes; missing members are not changed, a list replaces the one before."""

    email = EmailField(required=False)
    full_name = CharField(max_length=200, required=False)
    roles = _roles(required=False, help_text=_ROLES_HELP)
    permissions = _permissions(required=False, help_text=_PERMISSIONS_HELP)
    is_active = BooleanField(required=False, help_text="false ends all sessions.")


class StaffOutput(OutputSerializer):
    """A member of the staff."""

    id = serializers.UUIDField()
    email = serializers.EmailField()
    full_name = serializers.CharField()
    roles = serializers.SerializerMethodField()
    permissions = serializers.SerializerMethodField()
    is_active = serializers.BooleanField()
    is_superuser = serializers.BooleanField(help_text="Has all permissions.")
    created_at = serializers.DateTimeField()

    def get_roles(self, user: User) -> list[str]:
        """The names of the roles and other groups."""
        return sorted(group.name for group in user.groups.all())

    def get_permissions(self, user: User) -> list[str]:
        """What was granted besides those of the roles."""
        return sorted(permissions_of_codes(row.codename for row in user.user_permissions.all()))


class CredentialsInput(InputSerializer):
    email = EmailField()
    password = _password()


class RefreshInput(InputSerializer):
    refresh = CharField(max_length=MAX_TOKEN_LENGTH, help_text="The latest refresh token.")


class TokenPairOutput(OutputSerializer):
    access = serializers.CharField(help_text="A bearer token; expires after 15 minutes.")
    refresh = serializers.CharField(help_text="Expires after 7 days; can be used once.")
