"""Who asks: by an access token at the API, by e-mail address and password at the back office."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import AuthenticationFailed
from rest_framework_simplejwt.settings import api_settings

from oms.core.actor import anonymous
from oms.users.errors import BadCredentials
from oms.users.models import User
from oms.users.operations.sessions import SESSION_CLAIM, log_in_to_back_office


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


class BackOfficeBackend(ModelBackend):
    """Lets staff into the back office, by the operation that also notes it in the event log."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        if username is None or password is None:
            return None
        actor = anonymous(
            request_id=getattr(request, "request_id", ""),
            ip=getattr(request, "client_address", None),
        )
        try:
            return log_in_to_back_office(actor=actor, email=username, password=password)
        except BadCredentials:
            return None
