"""Who asks, by the access token of the request."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import AuthenticationFailed
from rest_framework_simplejwt.settings import api_settings

from oms.users.models import User
from oms.users.operations.sessions import SESSION_CLAIM


class AccessTokenAuthentication(JWTAuthentication):
    """Accepts an access token whose user is active and whose session has not been revoked."""

    def get_user(self, validated_token: Any) -> Any:
        try:
            user: User = User.objects.get(
                pk=validated_token[api_settings.USER_ID_CLAIM],
                is_active=True,
                sessions=validated_token[SESSION_CLAIM],
                sessions__revoked_at=None,
            )
        except (User.DoesNotExist, KeyError, ValueError, ValidationError) as error:
            raise AuthenticationFailed(code="token_invalid") from error
        return user
