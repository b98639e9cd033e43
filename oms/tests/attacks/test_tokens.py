"""Forged, stolen and outlived tokens, at both fronts."""

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

from oms.core import clock
from oms.core.ids import new_id
from oms.testing.factories import make_customer, tokens_for
from oms.tests.attacks.shop import (
    Shop,
    database_digest,
    forged,
    status_of_refreshing,
    status_with,
)
from oms.users.models import Session, User
from oms.users.signing_keys import key_id

pytestmark = pytest.mark.django_db
at_both_fronts = pytest.mark.usefixtures("both_fronts")


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
