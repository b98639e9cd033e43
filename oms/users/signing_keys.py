"""The keys that sign tokens, and their rotation.

A token's header names its key (`kid`, RFC 7515, section 4.1.4). settings.JWT_SIGNING_KEY signs;
tokens of settings.JWT_SIGNING_KEY_FALLBACKS are accepted too, so that a key can be replaced while
tokens of the old one are in use. SECURITY.md describes how.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from typing import Any

import jwt
from django.conf import settings
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken as SimpleAccessToken
from rest_framework_simplejwt.tokens import RefreshToken as SimpleRefreshToken


class RotatedKeys(TokenBackend):
    """Signs with the first of `keys`, and verifies with the one that the token names."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        super().__init__(
            api_settings.ALGORITHM,
            keys[0],
            audience=api_settings.AUDIENCE,
            issuer=api_settings.ISSUER,
        )
        self._keys: Mapping[str, str] = {key_id(key): key for key in keys}

    def get_verifying_key(self, token: Any) -> Any:
        """The key that `token` names. One without a name was issued before keys had names."""
        id = jwt.get_unverified_header(token).get("kid")
        if id is None:
            return self.prepared_signing_key
        if id not in self._keys:
            raise jwt.InvalidTokenError("The token's key is unknown.")
        return self._prepare_key(self._keys[id])

    def encode(self, payload: dict[str, Any]) -> str:
        """The signed token of the claims."""
        claims = {**payload, "aud": self.audience, "iss": self.issuer}
        return jwt.encode(
            claims,
            self.prepared_signing_key,
            algorithm=self.algorithm,
            headers={"kid": key_id(str(self.signing_key))},
        )


@cache
def key_id(key: str) -> str:
    """The name of `key` in the headers of its tokens; it betrays nothing of the key."""
    return hashlib.sha256(b"oms.users.signing_keys" + key.encode()).hexdigest()[:16]


@cache
def _backend(keys: tuple[str, ...]) -> RotatedKeys:
    return RotatedKeys(keys)


class _Signed:
    def get_token_backend(self) -> RotatedKeys:
        return _backend((settings.JWT_SIGNING_KEY, *settings.JWT_SIGNING_KEY_FALLBACKS))


class AccessToken(_Signed, SimpleAccessToken):
    """An access token."""


class RefreshToken(_Signed, SimpleRefreshToken):  # type: ignore[misc]  # the library's bases disagree
    """A refresh token."""

    access_token_class = AccessToken
