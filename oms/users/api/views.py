"""The API of users and tokens."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response

from oms.api.documentation import documented
from oms.api.permissions import AllowAny
from oms.api.views import ApiView, ApiViewSet
from oms.core.errors import PermissionDenied
from oms.users.api import examples
from oms.users.api.serializers import (
    CredentialsInput,
    ProfileInput,
    RefreshInput,
    RegistrationInput,
    StaffUserOutput,
    TokenPairOutput,
    UserOutput,
)
from oms.users.errors import BadCredentials, EmailTaken, OwnRights, SuperuserNeeded, TokenInvalid
from oms.users.models import User
from oms.users.operations.accounts import change_user, register_user
from oms.users.operations.sessions import log_in, refresh_session, revoke_session
from oms.users.queries import find_user

_WHO_MAY_CHANGE = (
    "Customers may change their own `full_name`, `phone` and `email`. Staff with `customers.edit` "
    "may also change these for customers, and `is_active`; staff with `staff.manage` those of "
    "staff, and `is_staff`, as far as they have all rights of the account. Nobody may change their "
    "own `is_active` or `is_staff`."
)


class UserViewSet(ApiViewSet):
    """Accounts: anyone may create one; its user and staff may read and change it."""

    permissions = {"create": [AllowAny]}

    @documented(
        summary="Create an account",
        request=RegistrationInput,
        response=UserOutput,
        status=201,
        request_example=examples.REGISTRATION,
        response_example=examples.USER,
        errors=[EmailTaken],
    )
    def create(self, request: Request) -> Response:
        """Creates a customer account. No authentication is needed."""
        user = register_user(actor=self.actor, **self.parse(RegistrationInput))
        return Response(
            UserOutput(user).data,
            status=201,
            headers={"Location": reverse("user-detail", kwargs={"id": user.id})},
        )

    @documented(
        summary="Get an account",
        response=StaffUserOutput,
        response_example=examples.USER,
        errors=[PermissionDenied],
    )
    def retrieve(self, request: Request, id: str = "") -> Response:
        return self._present(find_user(actor=self.actor, user_id=self.user_id()))

    @documented(
        summary="Replace a profile",
        description=_WHO_MAY_CHANGE,
        response=StaffUserOutput,
        request=ProfileInput,
        request_example=examples.PROFILE,
        response_example=examples.USER,
        errors=[EmailTaken, PermissionDenied, SuperuserNeeded, OwnRights],
    )
    def update(self, request: Request, id: str = "") -> Response:
        return self._change(partial=False)

    @documented(
        summary="Update a profile",
        description=_WHO_MAY_CHANGE,
        response=StaffUserOutput,
        request=ProfileInput,
        request_example=examples.PROFILE_CHANGE,
        response_example=examples.USER,
        errors=[EmailTaken, PermissionDenied, SuperuserNeeded, OwnRights],
    )
    def partial_update(self, request: Request, id: str = "") -> Response:
        return self._change(partial=True)

    def user_id(self) -> UUID:
        """The id of the account."""
        return self.path_id()

    def _change(self, *, partial: bool) -> Response:
        # Access is checked first, so that others learn nothing about the body.
        user = find_user(actor=self.actor, user_id=self.user_id())
        values = dict(self.parse(ProfileInput, partial=partial))
        return self._present(change_user(actor=self.actor, user_id=user.id, values=values))

    def _present(self, user: User) -> Response:
        output = StaffUserOutput if self.actor.is_staff else UserOutput
        return Response(output(user).data)


class MyselfViewSet(UserViewSet):
    """The caller's own account."""

    def user_id(self) -> UUID:
        assert self.actor.id is not None, "anonymous callers got 401 before"
        return self.actor.id


class _TokenView(ApiView):
    """The base of views with credentials in the body.

    The Authorization header is ignored, since clients may still send an expired token in it.
    """

    authentication_classes: list[Any] = []
    permission_classes = [AllowAny]


class TokenView(_TokenView):
    """Logging in."""

    @documented(
        summary="Log in",
        description="Starts a session and returns its first token pair.",
        request=CredentialsInput,
        request_example=examples.CREDENTIALS,
        response=TokenPairOutput,
        response_example=examples.TOKEN_PAIR,
        errors=[BadCredentials],
    )
    def post(self, request: Request) -> Response:
        pair = log_in(actor=self.actor, **self.parse(CredentialsInput))
        return Response(TokenPairOutput(pair).data)


class RefreshView(_TokenView):
    """Refreshing a session."""

    @documented(
        summary="Refresh the tokens",
        description="Invalidates the old refresh token; using it again ends the session.",
        request=RefreshInput,
        request_example=examples.REFRESH,
        response=TokenPairOutput,
        response_example=examples.TOKEN_PAIR,
        errors=[TokenInvalid],
    )
    def post(self, request: Request) -> Response:
        pair = refresh_session(actor=self.actor, **self.parse(RefreshInput))
        return Response(TokenPairOutput(pair).data)


class RevokeView(_TokenView):
    """Logging out."""

    @documented(
        summary="Log out",
        description="Ends the session and invalidates all of its tokens.",
        request=RefreshInput,
        request_example=examples.REFRESH,
        errors=[TokenInvalid],
    )
    def post(self, request: Request) -> Response:
        revoke_session(actor=self.actor, **self.parse(RefreshInput))
        return Response(status=204)
