"""What passwords are hashed with, and how hashes of an earlier cost are replaced."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import argon2
import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher, make_password

import oms.settings
from oms.testing.environment import ROOT
from oms.testing.factories import ANONYMOUS, PASSWORD, make_customer
from oms.users.errors import BadCredentials
from oms.users.hashers import PasswordHasher
from oms.users.models import User
from oms.users.operations import sessions
from oms.users.operations.sessions import log_in

pytestmark = pytest.mark.django_db

NEW_PASSWORD = "a-wholly-different-one"


@pytest.fixture(autouse=True)
def _hashers_of_the_shop(settings: Any) -> None:
    settings.PASSWORD_HASHERS = oms.settings.PASSWORD_HASHERS


def _earlier_hash(password: str = PASSWORD) -> str:
    """A hash with the parameters of Django 5.2, which the shop had before."""
    return Argon2PasswordHasher().encode(password, "0123456789abcdefghijkl")


def _with_earlier_hash() -> User:
    user = make_customer()
    User.objects.filter(pk=user.pk).update(password=_earlier_hash())
    return User.objects.get(pk=user.pk)


def _costs_of(user: User) -> tuple[int, int, int]:
    """Passes, KiB and parallelism of the user's hash in the database."""
    encoded = User.objects.get(pk=user.pk).password.removeprefix("argon2")
    found = argon2.extract_parameters(encoded)
    return found.time_cost, found.memory_cost, found.parallelism


@contextmanager
def _something_before_the_new_hash_is_stored(
    monkeypatch: pytest.MonkeyPatch, something: Callable[[], object]
) -> Iterator[None]:
    """Lets `something` happen once, while the first new hash is made."""

    happened: list[str] = []

    def hashed(password: str) -> str:
        monkeypatch.undo()
        happened.append("it")
        something()
        return make_password(password)

    monkeypatch.setattr(sessions, "make_password", hashed)
    yield
    assert happened, "no new hash was made"


def test_new_passwords_use_the_parameters_of_owasp() -> None:
    assert _costs_of(make_customer()) == (2, 19_456, 1)


def test_a_login_replaces_a_hash_of_another_cost() -> None:
    user = _with_earlier_hash()
    assert _costs_of(user) == (2, 102_400, 8)

    log_in(actor=ANONYMOUS, email=user.email, password=PASSWORD)

    assert _costs_of(user) == (2, 19_456, 1)
    log_in(actor=ANONYMOUS, email=user.email, password=PASSWORD)


def test_a_login_leaves_a_hash_of_todays_cost_alone() -> None:
    user = make_customer()

    log_in(actor=ANONYMOUS, email=user.email, password=PASSWORD)

    assert User.objects.get().password == user.password


def test_a_wrong_password_replaces_nothing() -> None:
    user = _with_earlier_hash()

    with pytest.raises(BadCredentials):
        log_in(actor=ANONYMOUS, email=user.email, password="wrong")

    assert User.objects.get().password == user.password


def test_of_two_first_logins_at_once_both_succeed(monkeypatch: pytest.MonkeyPatch) -> None:
    user = _with_earlier_hash()

    def other_login() -> None:
        log_in(actor=ANONYMOUS, email=user.email, password=PASSWORD)

    with _something_before_the_new_hash_is_stored(monkeypatch, other_login):
        log_in(actor=ANONYMOUS, email=user.email, password=PASSWORD)

    assert _costs_of(user) == (2, 19_456, 1)
    assert user.sessions.count() == 2


def test_a_password_that_is_changed_during_a_login_stays_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    user = _with_earlier_hash()

    def change() -> None:
        User.objects.filter(pk=user.pk).update(password=make_password(NEW_PASSWORD))

    with (
        _something_before_the_new_hash_is_stored(monkeypatch, change),
        pytest.raises(BadCredentials),
    ):
        log_in(actor=ANONYMOUS, email=user.email, password=PASSWORD)

    log_in(actor=ANONYMOUS, email=user.email, password=NEW_PASSWORD)


@pytest.mark.parametrize("reason", ["no account", "wrong", "inactive", "unusable", "gibberish"])
def test_every_refused_login_hashes_once(reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    user = make_customer(is_active=reason != "inactive")
    if reason in {"unusable", "gibberish"}:
        encoded = make_password(None) if reason == "unusable" else "not a hash"
        User.objects.filter(pk=user.pk).update(password=encoded)
    email = "nobody@example.com" if reason == "no account" else user.email
    hashed: list[str] = []
    for name in ("encode", "verify"):
        work = getattr(PasswordHasher, name)

        def counted(*args: Any, work: Any = work, name: str = name) -> Any:
            hashed.append(name)
            return work(*args)

        monkeypatch.setattr(PasswordHasher, name, counted)

    with pytest.raises(BadCredentials):
        log_in(actor=ANONYMOUS, email=email, password=PASSWORD if reason == "inactive" else "no")

    assert len(hashed) == 1


_HASH_IN_FOUR_THREADS = """
import resource
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from oms.users.hashers import PasswordHasher

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

hasher = PasswordHasher()
hasher.params()
before = resident()
with ThreadPoolExecutor(4) as threads:
    for hashed in [threads.submit(hasher.encode, "a password", "0123456789") for _ in range(16)]:
        hashed.result()
    print((resident() - before) >> 20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="how glibc gives memory back")
def test_the_memory_of_logins_does_not_stay_with_the_web_process() -> None:
    [web] = re.findall(r"^web: .*$", (ROOT / "Procfile").read_text(), re.MULTILINE)
    settings = dict(re.findall(r"(MALLOC_\w+)=(\d+)", web))

    done = subprocess.run(
        [sys.executable, "-c", _HASH_IN_FOUR_THREADS],
        cwd=ROOT,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=True,
    )

    assert int(done.stdout) < 10, "MiB; without the settings of the Procfile they are 76"
