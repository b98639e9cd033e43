"""The link by which a new member of the staff sets the password: good once, for a time, for one."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from oms.events.models import Event
from oms.testing.factories import PASSWORD, api_client, make_customer, make_staff
from oms.users.models import User
from oms.users.operations.password_links import PASSWORD_PAGE, password_link

pytestmark = pytest.mark.django_db

NEW = "a-long-enough-secret"
INVALID = "The link is invalid, was used, or has expired."


@pytest.fixture
def sam() -> User:
    user = make_staff(email="sam@example.com", permissions=["orders.view"])
    user.set_unusable_password()
    user.save()
    return user


def path_of(link: str) -> str:
    return f"{urlsplit(link).path}?{urlsplit(link).query}"


def token_of(link: str) -> str:
    return parse_qs(urlsplit(link).query)["token"][0]


def send(link: str, **changes: str) -> Any:
    """Post the form of the page."""
    values = {"token": token_of(link), "password": NEW, "again": NEW, **changes}
    return Client().post(PASSWORD_PAGE, values)


def assert_unusable(link: str, user: User) -> None:
    before = User.objects.get(pk=user.pk).password
    for answer in (Client().get(path_of(link)), send(link)):
        assert answer.status_code == 400
        assert INVALID in answer.content.decode()
    assert User.objects.get(pk=user.pk).password == before


def has_password(user: User, password: str) -> bool:
    return User.objects.get(pk=user.pk).check_password(password)


def test_the_page_is_where_the_link_leads() -> None:
    assert reverse("password-link") == PASSWORD_PAGE


def test_a_link_sets_the_password_once(sam: User) -> None:
    link = password_link(sam.pk)
    page = Client().get(path_of(link))
    assert page.status_code == 200
    assert "Set your password" in page.content.decode()

    answer = send(link)

    assert (answer.status_code, answer["Location"]) == (302, "/admin/login/")
    assert has_password(sam, NEW)
    event = Event.objects.get(type="user.password_set")
    assert (event.actor_kind, event.actor_label) == ("staff", "sam@example.com")
    assert Client().login(username="sam@example.com", password=NEW)
    again = send(link, password="another-long-secret", again="another-long-secret")
    assert again.status_code == 400
    assert INVALID in again.content.decode()
    assert has_password(sam, NEW)


def test_reading_the_page_does_not_use_the_link_up(sam: User) -> None:
    link = password_link(sam.pk)

    for _ in range(3):  # as programs do that look for dangerous links
        assert Client().get(path_of(link)).status_code == 200

    assert send(link).status_code == 302


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"again": "something-else"}, "The passwords don&#x27;t match."),
        ({"password": "12345", "again": "12345"}, "This password is too short"),
    ],
)
def test_a_bad_password_is_refused_and_the_link_stays_good(
    sam: User, changes: dict[str, str], message: str
) -> None:
    link = password_link(sam.pk)

    answer = send(link, **changes)

    assert answer.status_code == 200
    assert message in answer.content.decode()
    assert not User.objects.get(pk=sam.pk).has_usable_password()
    assert send(link).status_code == 302


def test_a_link_expires(sam: User, settings: Any) -> None:
    link = password_link(sam.pk)
    assert Client().get(path_of(link)).status_code == 200

    settings.PASSWORD_RESET_TIMEOUT = -1

    assert_unusable(link, sam)


def test_a_link_is_for_one_account(sam: User) -> None:
    other = make_staff()
    link = password_link(sam.pk).replace(str(sam.pk), str(other.pk))

    assert_unusable(link, other)
    assert has_password(other, PASSWORD)


@pytest.mark.parametrize("change", [{"is_active": False}, {"is_staff": False}])
def test_a_link_is_for_active_staff(sam: User, change: dict[str, bool]) -> None:
    link = password_link(sam.pk)
    User.objects.filter(pk=sam.pk).update(**change)

    assert_unusable(link, sam)


def test_a_login_or_another_address_ends_the_link(sam: User) -> None:
    link = password_link(sam.pk)
    User.objects.filter(pk=sam.pk).update(last_login=timezone.now() + timedelta(seconds=1))
    assert_unusable(link, sam)

    link = password_link(sam.pk)
    User.objects.filter(pk=sam.pk).update(email="else@example.com")
    assert_unusable(link, sam)


@pytest.mark.parametrize("token", ["", "x", ".", "a.b", "é", "0" * 500])
def test_nonsense_is_an_invalid_link(sam: User, token: str) -> None:
    page = Client().get(PASSWORD_PAGE, {"token": token})
    answer = Client().post(PASSWORD_PAGE, {"token": token, "password": NEW, "again": NEW})

    assert (page.status_code, answer.status_code) == (400, 400)
    assert INVALID in answer.content.decode()


def test_setting_the_password_ends_all_sessions(sam: User) -> None:
    sam.set_password(PASSWORD)
    sam.save()
    api, browser = api_client(sam), Client()
    browser.force_login(User.objects.get(pk=sam.pk))
    link = password_link(sam.pk)

    send(link)

    assert api.get("/api/v1/users/me").status_code == 401
    assert browser.get("/admin/").status_code == 302


def test_the_link_is_neither_logged_nor_sent_to_others(
    sam: User, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    link = password_link(sam.pk)
    caplog.set_level(logging.INFO)

    page = Client().get(path_of(link))
    answer = send(link)

    assert page["Referrer-Policy"] == "same-origin"
    assert "no-store" in page["Cache-Control"]
    assert answer.status_code == 302
    secret = token_of(link).partition(".")[2]
    written = capfd.readouterr()
    assert secret not in caplog.text + written.out + written.err
    assert not Event.objects.filter(data__icontains=secret).exists()


def test_staff_are_sent_a_new_link_by_those_who_manage_staff(sam: User) -> None:
    page = f"/admin/users/user/{sam.pk}/invite/"
    for user, status in (
        (make_staff(permissions=["customers.view", "customers.edit"]), 403),
        (make_staff(permissions=["staff.manage"]), 403),  # lacks what sam may
        (make_staff(permissions=["staff.manage", "orders.view"]), 302),
    ):
        browser = Client()
        browser.force_login(user)
        assert browser.post(page).status_code == status

    [event] = Event.objects.filter(type="user.invited")
    assert event.data["user_id"] == str(sam.pk)
    browser.force_login(make_staff(is_superuser=True))
    # Not for customers: the action is not available.
    browser.post(f"/admin/users/user/{make_customer().pk}/invite/")
    assert Event.objects.filter(type="user.invited").count() == 1
