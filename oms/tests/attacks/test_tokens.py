"""Forged, stolen and outlived tokens, at both fronts; and tokens while a key is replaced."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from django.conf import settings
from django.urls import reverse

from oms.api import keyset
from oms.core import clock
from oms.core.ids import new_id
from oms.fastpath import calls
from oms.testing import factories
from oms.testing.factories import make_customer, tokens_for
from oms.tests.attacks.access import EXPECTED
from oms.tests.attacks.shop import Shop, database_digest, forged
from oms.users import access_tokens
from oms.users.models import Session, User
from oms.users.operations.sessions import TokenPair
from oms.users.signing_keys import key_id

pytestmark = pytest.mark.django_db
at_both_fronts = pytest.mark.usefixtures("both_fronts")

OLD, NEW = "o" * 32, "n" * 64


def status_with(token: str, *, scheme: str = "Bearer") -> int:
    """The status of a call of a hot route with the access token."""
    client = factories.client_class(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"{scheme} {token}")
    return int(client.get(reverse("orders")).status_code)


def status_of_refreshing(token: str) -> int:
    client = factories.client_class(raise_request_exception=False)
    return int(client.post(reverse("token-refresh"), {"refresh": token}).status_code)


def _part(content: object) -> str:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unsigned(token: str, **head: Any) -> str:
    """`token` with that header and no signature."""
    return f"{_part(head)}.{token.split('.')[1]}."


def _with_head(token: str, head: object) -> str:
    return f"{_part(head)}.{token.split('.')[1]}.{token.split('.')[2]}"


def _other(token: str) -> str:
    """The token of another user's session with the claims of `token`, each validly signed."""
    stranger = tokens_for(make_customer()).access
    return ".".join([*stranger.split(".")[:1], token.split(".")[1], stranger.split(".")[2]])


def _now() -> int:
    return int(clock.now().timestamp())


FORGERIES: dict[str, Callable[[str], str]] = {
    "alg none": lambda t: _unsigned(t, alg="none", typ="JWT"),
    "alg None": lambda t: _unsigned(t, alg="None", typ="JWT"),
    "no alg": lambda t: _unsigned(t, typ="JWT"),
    "alg is a list": lambda t: _with_head(t, {"alg": ["HS256"], "typ": "JWT"}),
    "HS384 with the key": lambda t: forged(t, algorithm="HS384"),
    "RS256 in the header": lambda t: _with_head(t, {"alg": "RS256", "typ": "JWT"}),
    "the wrong key": lambda t: forged(t, key="w" * 64),
    "an empty key": lambda t: _signed_with_nothing(t),
    "the SECRET_KEY": lambda t: forged(t, key=settings.SECRET_KEY),
    "the key's name as the key": lambda t: forged(t, key=key_id(settings.JWT_SIGNING_KEY) * 2),
    "the signature of another token": _other,
    "no signature": lambda t: t.rpartition(".")[0] + ".",
    "two parts": lambda t: t.rpartition(".")[0],
    "four parts": lambda t: f"{t}.{t.split('.')[2]}",
    "changed claims": lambda t: _with_claims(t, is_staff=True),
    "expired": lambda t: forged(t, exp=_now() - 1),
    "no expiry": lambda t: forged(t, exp=None),
    "an expiry that is no number": lambda t: forged(t, exp="tomorrow"),
    "not yet valid": lambda t: forged(t, nbf=_now() + 600),
    "issued in the future": lambda t: forged(t, iat=_now() + 600),
    "another issuer": lambda t: forged(t, iss="somebody"),
    "no issuer": lambda t: forged(t, iss=None),
    "another audience": lambda t: forged(t, aud="somewhere"),
    "no audience": lambda t: forged(t, aud=None),
    "no jti": lambda t: forged(t, jti=None),
    "no type": lambda t: forged(t, token_type=None),
    "another type": lambda t: forged(t, token_type="sliding"),
    "no user": lambda t: forged(t, sub=None),
    "a user that is no text": lambda t: forged(t, sub=None, uid=1),
    "another user": lambda t: forged(t, sub=str(make_customer().id)),
    "no session": lambda t: forged(t, sid=None),
    "an unknown session": lambda t: forged(t, sid=str(new_id())),
    "a session that is a list": lambda t: forged(t, sid=["x"]),
    "kid unknown": lambda t: forged(t, headers={"kid": "unknown"}),
    "kid empty": lambda t: forged(t, headers={"kid": ""}),
    "kid is a path": lambda t: forged(t, headers={"kid": "../../dev/null"}),
    "kid is a statement": lambda t: forged(t, headers={"kid": "' UNION SELECT 'x"}),
    "kid is a number": lambda t: _with_head(t, {"alg": "HS256", "typ": "JWT", "kid": 1}),
    "kid is a list": lambda t: _with_head(t, {"alg": "HS256", "typ": "JWT", "kid": ["x"]}),
    "a key in the header": lambda t: forged(
        t, key="w" * 64, headers={"jwk": {"kty": "oct", "k": _part(b"w" * 64)}}
    ),
    "a key's address in the header": lambda t: forged(
        t, key="w" * 64, headers={"jku": "http://127.0.0.1:1/keys", "x5u": "http://127.0.0.1:1/"}
    ),
    "an unknown critical header": lambda t: forged(t, headers={"crit": ["exp"], "exp": 1}),
    "a detached payload": lambda t: _with_head(
        t, {"alg": "HS256", "b64": False, "crit": ["b64"], "typ": "JWT"}
    ),
    "claims that are a list": lambda t: jwt.api_jws.encode(b"[]", settings.JWT_SIGNING_KEY),
    "huge": lambda t: forged(t, padding="x" * 100_000, key="w" * 64),
    "huge noise": lambda t: "a" * 100_000,
    "deep": lambda t: jwt.api_jws.encode(b"[" * 20_000 + b"]" * 20_000, settings.JWT_SIGNING_KEY),
    "surrogates": lambda t: _with_head(t, b'{"alg":"HS256","kid":"\\ud800"}'),
    "no text": lambda t: f"{t[:-4]}\xff\x00\xe9",
    "nothing": lambda t: "",
    "two tokens": lambda t: f"{t} {t}",
}


def _signed_with_nothing(token: str) -> str:
    head_and_claims = token.rpartition(".")[0]
    digest = hmac.new(b"", head_and_claims.encode(), hashlib.sha256).digest()
    return f"{head_and_claims}.{_part(digest)}"


def _with_claims(token: str, **claims: Any) -> str:
    head, _, signature = token.split(".")
    content = {**jwt.decode(token, options={"verify_signature": False}), **claims}
    return f"{head}.{_part(content)}.{signature}"


@at_both_fronts
@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_access_token_is_refused(forgery: str, shop: Shop) -> None:
    access = shop.pair.access
    forgery_of_it = FORGERIES[forgery](access)
    before = database_digest()

    assert status_with(forged(access)) == 200  # the forger's way of signing is no fault
    assert status_with(forgery_of_it) == 401
    assert database_digest() == before
    assert status_with(access) == 200


@pytest.mark.parametrize(
    # A refresh token's session decides whose it is.
    "forgery",
    [name for name in FORGERIES if not name.endswith(" user") and "a user" not in name],
)
def test_a_forged_refresh_token_is_refused(forgery: str, shop: Shop) -> None:
    refresh = shop.pair.refresh
    forgery_of_it = FORGERIES[forgery](refresh)
    before = database_digest()

    assert status_of_refreshing(forgery_of_it) in (400, 401, 413)
    assert database_digest() == before
    assert status_of_refreshing(forged(refresh)) == 200


@at_both_fronts
def test_tokens_are_of_one_use(shop: Shop) -> None:
    pair = shop.pair

    assert status_with(pair.refresh) == 401
    assert status_of_refreshing(pair.access) == 401
    assert status_with(forged(pair.access, token_type="refresh")) == 401
    assert status_of_refreshing(forged(pair.refresh, token_type="access")) == 401
    assert status_with(pair.access) == 200


@at_both_fronts
def test_a_token_ends_with_its_session_and_its_user(shop: Shop) -> None:
    revoked, deactivated = tokens_for(shop.owner), tokens_for(shop.stranger)
    assert status_with(revoked.access) == status_with(deactivated.access) == 200

    session = jwt.decode(revoked.access, options={"verify_signature": False})["sid"]
    Session.objects.filter(pk=session).update(revoked_at=clock.now())
    User.objects.filter(pk=shop.stranger.pk).update(is_active=False)

    for pair in (revoked, deactivated):
        assert status_with(pair.access) == 401
        assert status_of_refreshing(pair.refresh) == 401


@at_both_fronts
@pytest.mark.parametrize("scheme", ["Token", "JWT", "Basic", "Bearer:", ""])
def test_another_scheme_signs_nobody_in(scheme: str, shop: Shop) -> None:
    assert status_with(shop.pair.access, scheme=scheme) == 401


# --- Replacing the key ----------------------------------------------------------------------------


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
    assert status_with(forged(before.access, key=OLD, exp=_now() - 1)) == 401
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


# --- The other secret -----------------------------------------------------------------------------


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
