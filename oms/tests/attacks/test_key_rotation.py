"""Tokens, cursors and idempotency keys while the keys that sign them are replaced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jwt
import pytest
from django.urls import reverse

from oms.api import keyset
from oms.core import clock
from oms.fastpath import calls
from oms.testing import factories
from oms.testing.factories import tokens_for
from oms.tests.attacks.access import EXPECTED
from oms.tests.attacks.shop import Shop, forged, status_of_refreshing, status_with
from oms.users import access_tokens
from oms.users.operations.sessions import TokenPair
from oms.users.signing_keys import key_id

pytestmark = pytest.mark.django_db
at_both_fronts = pytest.mark.usefixtures("both_fronts")

OLD, NEW = "o" * 32, "n" * 64


@pytest.fixture
def rotate(settings: Any) -> Callable[..., None]:
    """Sets the key that signs and those that are accepted besides, as after a restart."""

    def rotated(key: str, *fallbacks: str) -> None:
        settings.JWT_SIGNING_KEY, settings.JWT_SIGNING_KEY_FALLBACKS = key, list(fallbacks)
        access_tokens._verified.clear()

    rotated(OLD)
    return rotated


def _kid(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


@at_both_fronts
def test_tokens_of_the_old_key_are_valid_until_they_expire(
    shop: Shop, rotate: Callable[..., None]
) -> None:
    before = tokens_for(shop.owner)
    rotate(NEW, OLD)
    after = tokens_for(shop.owner)

    assert (_kid(before.access), _kid(before.refresh)) == (key_id(OLD), key_id(OLD))
    assert (_kid(after.access), _kid(after.refresh)) == (key_id(NEW), key_id(NEW))
    assert status_with(before.access) == status_with(after.access) == 200
    assert status_with(forged(before.access, key=OLD, exp=int(clock.now().timestamp()) - 1)) == 401
    assert status_of_refreshing(before.refresh) == 200


def test_a_refresh_changes_over_to_the_new_key(shop: Shop, rotate: Callable[..., None]) -> None:
    before = tokens_for(shop.owner)
    rotate(NEW, OLD)
    client = factories.client_class()

    answer = client.post(reverse("token-refresh"), {"refresh": before.refresh}).json()
    rotate(NEW)

    assert _kid(answer["access"]) == _kid(answer["refresh"]) == key_id(NEW)
    assert status_with(answer["access"]) == 200
    assert status_with(before.access) == 401
    assert status_of_refreshing(answer["refresh"]) == 200


@at_both_fronts
def test_a_key_that_was_removed_signs_nobody_in(shop: Shop, rotate: Callable[..., None]) -> None:
    before = tokens_for(shop.owner)
    assert status_with(before.access) == 200
    rotate(NEW)

    assert status_with(before.access) == 401
    assert status_of_refreshing(before.refresh) == 401
    # Nor does it under the name of the new key, or under none.
    for headers in ({"kid": key_id(NEW)}, {"kid": None}):
        assert status_with(forged(before.access, key=OLD, headers=headers)) == 401


@at_both_fronts
def test_a_new_key_is_accepted_before_it_signs(shop: Shop, rotate: Callable[..., None]) -> None:
    """So processes with the old setting take the tokens of those with the new one."""
    rotate(NEW, OLD)
    pair = tokens_for(shop.owner)
    rotate(OLD, NEW)

    assert status_with(pair.access) == 200
    assert _kid(tokens_for(shop.owner).access) == key_id(OLD)


@at_both_fronts
def test_one_keys_tokens_are_refused_under_the_name_of_the_other(
    shop: Shop, rotate: Callable[..., None]
) -> None:
    rotate(NEW, OLD)
    pair = tokens_for(shop.owner)

    assert status_with(forged(pair.access, key=OLD)) == 401
    assert status_with(forged(pair.access, key=OLD, headers={"kid": key_id(OLD)})) == 200
    assert status_with(forged(pair.access, key=NEW, headers={"kid": key_id(OLD)})) == 401


@at_both_fronts
def test_tokens_that_were_issued_without_a_name_of_the_key_stay_valid(
    shop: Shop, rotate: Callable[..., None]
) -> None:
    pair: TokenPair = tokens_for(shop.owner)

    assert status_with(forged(pair.access, key=OLD, headers={"kid": None})) == 200
    rotate(NEW, OLD)
    assert status_with(forged(pair.access, key=NEW, headers={"kid": None})) == 200


@at_both_fronts
def test_what_the_old_secret_key_has_signed_is_valid_as_long_as_it_is_a_fallback(
    shop: Shop, settings: Any
) -> None:
    """Cursors of lists, and the bodies that idempotency keys are bound to."""

    def use(secret: str, *fallbacks: str) -> None:
        """Set them as a restart does."""
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = secret, list(fallbacks)
        keyset._signer.cache_clear()
        calls._list_query.cache_clear()

    use(OLD)
    client, key = shop.client("owner"), {"Idempotency-Key": "k"}
    order = EXPECTED["POST", "orders"].request(shop)
    first = order.send(client, "POST", "orders", headers=key)
    page = client.get(reverse("orders"), {"page_size": "1"}).json()["next"]

    use(NEW, OLD)
    again = order.send(client, "POST", "orders", headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json()["id"] == first.json()["id"]
    assert client.get(page).status_code == 200
    other = order.send(client, "POST", "orders", headers=key, body={**order.body, "note": "x"})
    assert other.status_code == 422

    use(NEW)
    assert order.send(client, "POST", "orders", headers=key).status_code == 422
    assert client.get(page).status_code == 400
    keyset._signer.cache_clear()  # for the tests that follow
    calls._list_query.cache_clear()
