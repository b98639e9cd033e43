"""The authenticated caller of a request, determined once for middleware and view.

The user model is reached through REST framework's settings alone, so that this package does
not depend on that of users.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.settings import api_settings

from oms.core.actor import Actor, account, anonymous


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The user and the credentials of a request; `error` if the credentials are invalid."""

    user: Any
    auth: Any = None
    error: APIException | None = None

    @property
    def user_id(self) -> UUID | None:
        """The id of the user; None if anonymous."""
        return self.user.pk if self.user is not None and self.user.is_authenticated else None


def identify(request: HttpRequest) -> Identity:
    """The identity behind `request`. The first call authenticates it, the others remember."""
    identity: Identity | None = getattr(request, "identity", None)
    if identity is None:
        identity = _authenticate(request)
        request.identity = identity  # type: ignore[attr-defined]  # ours, for the later calls
    return identity


def known_identity(request: HttpRequest) -> Identity | None:
    """The identity if `identify` was called before."""
    return getattr(request, "identity", None)


def _authenticators() -> list[BaseAuthentication]:
    # The stubs take the setting for the names of the classes, but REST framework imports them.
    classes: Any = api_settings.DEFAULT_AUTHENTICATION_CLASSES
    return [authenticator() for authenticator in classes]


def _authenticate(request: HttpRequest) -> Identity:
    drf_request = Request(request, authenticators=_authenticators())
    try:
        return Identity(user=drf_request.user, auth=drf_request.auth)
    except APIException as error:
        return Identity(user=None, error=error)


class IdentityAuthentication(BaseAuthentication):
    """Hands what `identify` found to REST framework."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        identity = identify(request._request)
        if identity.error is not None:
            raise identity.error
        return None if identity.user_id is None else (identity.user, identity.auth)

    def authenticate_header(self, request: Request) -> str | None:
        authenticators = _authenticators()
        return authenticators[0].authenticate_header(request) if authenticators else None


def actor_of(request: HttpRequest) -> Actor:
    """The actor that the sender of `request` is to operations."""
    user = identify(request).user
    request_id = getattr(request, "request_id", "")
    ip = getattr(request, "client_address", None)
    if user is None or not user.is_authenticated:
        return anonymous(request_id=request_id, ip=ip)
    return account(
        id=user.pk,
        email=user.email,
        is_staff=user.is_staff,
        is_superuser=user.is_superuser,
        permissions=user.permissions,
        language=user.language,
        request_id=request_id,
        ip=ip,
    )
