"""The examples of the API's document are true."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.serializers import BaseSerializer

from oms.users.api import examples
from oms.users.api.serializers import (
    CredentialsInput,
    NewStaffInput,
    ProfileInput,
    RefreshInput,
    RegistrationInput,
    StaffOutput,
    TokenPairOutput,
    UserOutput,
)


@pytest.mark.parametrize(
    ("serializer", "example", "partial"),
    [
        (RegistrationInput, examples.REGISTRATION, False),
        (ProfileInput, examples.PROFILE, False),
        (ProfileInput, examples.PROFILE_CHANGE, True),
        (CredentialsInput, examples.CREDENTIALS, False),
        (RefreshInput, examples.REFRESH, False),
        (NewStaffInput, examples.NEW_STAFF, False),
    ],
)
def test_an_example_of_a_body_is_taken(
    serializer: type[BaseSerializer[Any]], example: dict[str, Any], partial: bool
) -> None:
    body = serializer(data=example, partial=partial)

    assert body.is_valid(), body.errors


def test_an_example_of_an_answer_has_its_members() -> None:
    assert set(UserOutput().fields) == set(examples.USER)
    assert set(StaffOutput().fields) == set(examples.STAFF)
    assert set(TokenPairOutput().fields) == set(examples.TOKEN_PAIR)
