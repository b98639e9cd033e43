"""The tests hash quickly; the shop does not."""

from __future__ import annotations

from django.contrib.auth.hashers import check_password, make_password
from django.test import override_settings

import oms.settings


def test_the_shop_hashes_passwords_with_argon2() -> None:
    with override_settings(PASSWORD_HASHERS=oms.settings.PASSWORD_HASHERS):
        hashed = make_password("correct horse")

        assert hashed.startswith("argon2$argon2id$")
        assert check_password("correct horse", hashed)
        assert not check_password("wrong horse", hashed)


def test_tests_hash_without_waiting() -> None:
    assert make_password("correct horse").startswith("md5$")
