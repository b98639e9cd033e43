"""The REST calls about users and tokens."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response

from oms.api.documentation import documented
from oms.api.permissions import AllowAny
from oms.api.views import ApiView, ApiViewSet
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

WHO_CHANGES = (
    "Customers change their own `full_name`, `phone` and `email`. Staff change those of customers "
    "too, and whether a customer `is_active`. Only superusers change the accounts of other staff, "
    "and who `is_staff`; nobody changes `is_active` or `is_staff` of themselves."
)


class UserViewSet(ApiViewSet):
    """Accounts: anyone may open one; it is seen and changed by its user and by staff."""

    permissions = {"create": [AllowAny]}

    @documented(
        summary="Open an account",
        request=RegistrationInput,
        response=UserOutput,
        status=201,
        request_example=examples.REGISTRATION,
        response_example=examples.USER,
        errors=[EmailTaken],
    )
    def create(self, request: Request) -> Response:
        """Anyone may; the account is a customer's."""
        user = register_user(actor=self.actor, **self.parse(RegistrationInput))
        return Response(
            UserOutput(user).data,
            status=201,
            headers={"Location": reverse("user-detail", kwargs={"id": user.id})},
        )

    @documented(
        summary="Look at an account",
        response=StaffUserOutput,
        response_example=examples.USER,
    )
    def retrieve(self, request: Request, id: str) -> Response:
        return self._present(find_user(actor=self.actor, user_id=self.user_id()))

    @documented(
        summary="Replace the profile",
        description=WHO_CHANGES,
        response=StaffUserOutput,
        request=ProfileInput,
        request_example=examples.PROFILE,
        response_example=examples.USER,
        errors=[EmailTaken, SuperuserNeeded, OwnRights],
    )
    def update(self, request: Request, id: str) -> Response:
        return self._change(partial=False)

    @documented(
        summary="Change some of the profile",
        description=WHO_CHANGES,
        response=StaffUserOutput,
        request=ProfileInput,
        request_example=examples.PROFILE_CHANGE,
        response_example=examples.USER,
        errors=[EmailTaken, SuperuserNeeded, OwnRights],
    )
    def partial_update(self, request: Request, id: str) -> Response:
        return self._change(partial=True)

    def user_id(self) -> UUID:
        """The user whom the call is about."""
        return self.path_id()

    def _change(self, *, partial: bool) -> Response:
        # Whose account it is comes first: a stranger learns nothing about the body.
        user = find_user(actor=self.actor, user_id=self.user_id())
        values = dict(self.parse(ProfileInput, partial=partial))
        return self._present(change_user(actor=self.actor, user_id=user.id, values=values))

    def _present(self, user: User) -> Response:
        output = StaffUserOutput if self.actor.is_staff else UserOutput
        return Response(output(user).data)


class MyselfViewSet(UserViewSet):
    """The caller's own account."""

    @documented(
        summary="Look at your own account",
        response=StaffUserOutput,
        response_example=examples.USER,
    )
    def retrieve(self, request: Request, id: str = "") -> Response:
        return super().retrieve(request, id)

    @documented(
        summary="Replace your own profile",
        description=WHO_CHANGES,
        response=StaffUserOutput,
        request=ProfileInput,
        request_example=examples.PROFILE,
        response_example=examples.USER,
        errors=[EmailTaken, SuperuserNeeded, OwnRights],
    )
    def update(self, request: Request, id: str = "") -> Response:
        return super().update(request, id)

    @documented(
        summary="Change some of your own profile",
        description=WHO_CHANGES,
        response=StaffUserOutput,
        request=ProfileInput,
        request_example=examples.PROFILE_CHANGE,
        response_example=examples.USER,
        errors=[EmailTaken, SuperuserNeeded, OwnRights],
    )
    def partial_update(self, request: Request, id: str = "") -> Response:
        return super().partial_update(request, id)

    def user_id(self) -> UUID:
        assert self.actor.id is not None, "nobody gets 401 before this"
        return self.actor.id


class _TokenView(ApiView):
    """The base of calls whose credentials are in the body.

    The Authorization header is not looked at: who asks for a new token may still send an old one.
    """

    authentication_classes: list[Any] = []
    permission_classes = [AllowAny]


class TokenView(_TokenView):
    """Logging in."""

    @documented(
        summary="Log in",
        description="Opens a session and gives its first two tokens.",
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
    """Going on with a session."""

    @documented(
        summary="Renew the tokens",
        description="The old refresh token is dead then; who uses it again ends the session.",
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
        description="Ends the session: all of its tokens are dead at once.",
        request=RefreshInput,
        request_example=examples.REFRESH,
        errors=[TokenInvalid],
    )
    def post(self, request: Request) -> Response:
        revoke_session(actor=self.actor, **self.parse(RefreshInput))
        return Response(status=204)
