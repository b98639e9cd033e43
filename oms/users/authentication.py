"""Authentication: by access token in the API, by e-mail address and password in the back office."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import AuthenticationFailed
from rest_framework_simplejwt.settings import api_settings

from oms.core.actor import anonymous
from oms.users.access_tokens import account_of
from oms.users.errors import BadCredentials
from oms.users.models import User
from oms.users.operations.sessions import SESSION_CLAIM, log_in_to_back_office


class AccessTokenAuthentication(JWTAuthentication):
    """Accepts an access token whose user is active and whose session has not been revoked."""

    def get_user(self, validated_token: Any) -> Any:
        try:
            user_id = UUID(validated_token[api_settings.USER_ID_CLAIM])
            account = account_of(UUID(validated_token[SESSION_CLAIM]))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise AuthenticationFailed(code="token_invalid") from error
        if account is None or account.id != user_id:
            raise AuthenticationFailed(code="token_invalid")
        return account


class BackOfficeBackend(ModelBackend):
    """Logs staff in to the back office; the operation records it in the event log."""

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
