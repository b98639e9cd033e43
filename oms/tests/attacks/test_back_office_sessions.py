"""Sessions of the back office end in time, and with what gave the right to them."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from datetime import timedelta
from time import monotonic

import pytest
from django.contrib.sessions.models import Session
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from oms.settings import security
from oms.testing.factories import PASSWORD, actor_for, make_staff
from oms.users.back_office_sessions import SessionStore
from oms.users.models import User
from oms.users.operations.accounts import change_user
from oms.users.operations.sessions import purge_sessions
from oms.users.operations.staff import log_out_everywhere, set_password

pytestmark = pytest.mark.django_db

IDLE, LIFETIME = security.SESSION_COOKIE_AGE, security.SESSION_LIFETIME


def logged_in(user: User) -> Client:
    client = Client()
    answer = client.post("/admin/login/", {"username": user.email, "password": PASSWORD})
    assert answer.status_code == 302
    return client


def is_logged_in(client: Client) -> bool:
    return client.get("/admin/").status_code == 200


def pass_time(seconds: float) -> None:
    """Let so much time pass for every session."""
    Session.objects.update(expire_date=F("expire_date") - timedelta(seconds=seconds))
    for row in Session.objects.all():
        data = row.get_decoded()
        if "begun" in data:
            data["begun"] -= seconds
        row.session_data = SessionStore().encode(data)
        row.save()


def test_a_session_ends_an_hour_after_its_last_request() -> None:
    client = logged_in(make_staff())

    pass_time(IDLE - 60)
    assert is_logged_in(client)
    pass_time(IDLE - 60)
    assert is_logged_in(client)
    pass_time(IDLE + 1)
    assert not is_logged_in(client)


def test_a_session_ends_after_twelve_hours_however_much_it_is_used() -> None:
    client = logged_in(make_staff())

    for _ in range(23):
        pass_time(LIFETIME / 24)
        assert is_logged_in(client)
    pass_time(LIFETIME / 24 + 1)
    assert not is_logged_in(client)


def test_a_request_extends_its_session_at_most_once_a_minute() -> None:
    client = logged_in(make_staff(permissions=()))

    def writes() -> list[str]:
        with CaptureQueriesContext(connection) as queries:
            client.get("/admin/")
        statements = [query["sql"] for query in queries]
        return [statement for statement in statements if not statement.startswith("SELECT")]

    assert writes() == []
    pass_time(61)
    # The update, in a savepoint of the test's transaction.
    assert [sql.split()[0] for sql in writes()] == ["SAVEPOINT", "UPDATE", "RELEASE"]
    assert writes() == []


def test_the_end_of_the_lifetime_is_no_reason_to_write_at_each_request() -> None:
    client = logged_in(make_staff(permissions=()))
    for _ in range(23):
        pass_time(LIFETIME / 24)
        is_logged_in(client)

    with CaptureQueriesContext(connection) as queries:
        client.get("/admin/")

    assert [query["sql"] for query in queries if not query["sql"].startswith("SELECT")] == []


def test_a_login_gives_the_session_a_new_key() -> None:
    staff = make_staff()
    client = Client()
    # What an attacker could have planted: a session of before the login.
    planted = client.session
    planted["anything"] = 1
    planted.save()
    assert planted.session_key is not None
    client.cookies[security.SESSION_COOKIE_NAME] = planted.session_key

    client.post("/admin/login/", {"username": staff.email, "password": PASSWORD})

    assert client.cookies[security.SESSION_COOKIE_NAME].value != planted.session_key
    assert not Session.objects.filter(session_key=planted.session_key).exists()
    assert is_logged_in(client)


def test_logging_out_ends_the_session_on_the_server() -> None:
    client = logged_in(make_staff())
    stolen = Client()
    key = client.cookies[security.SESSION_COOKIE_NAME].value
    stolen.cookies[security.SESSION_COOKIE_NAME] = str(key)
    assert is_logged_in(stolen)

    client.post("/admin/logout/")

    assert not is_logged_in(stolen)
    assert not Session.objects.exists()


def _set_password(user: User, by: User) -> None:
    set_password(actor=actor_for(by), user_id=user.pk, password="another-Horse-9")


def _deactivate_and_activate(user: User, by: User) -> None:
    for is_active in (False, True):
        change_user(actor=actor_for(by), user_id=user.pk, values={"is_active": is_active})


def _log_out_everywhere(user: User, by: User) -> None:
    log_out_everywhere(actor=actor_for(by), user_id=user.pk)


@pytest.mark.parametrize(
    "deed",
    [_set_password, _deactivate_and_activate, _log_out_everywhere],
)
def test_what_ends_the_sessions_of_an_account_ends_those_of_the_back_office(
    deed: Callable[[User, User], None],
) -> None:
    boss, staff = make_staff(is_superuser=True), make_staff()
    of_staff, of_boss = logged_in(staff), logged_in(boss)
    assert is_logged_in(of_staff)

    deed(staff, boss)

    assert not is_logged_in(of_staff)
    assert is_logged_in(of_boss)
    staff.refresh_from_db()
    if deed is not _set_password:
        assert is_logged_in(logged_in(staff))


@pytest.mark.parametrize("right", ["is_active", "is_staff"])
def test_who_lost_the_right_to_the_back_office_is_locked_out_at_once(right: str) -> None:
    boss, staff = make_staff(is_superuser=True), make_staff()
    client = logged_in(staff)

    change_user(actor=actor_for(boss), user_id=staff.pk, values={right: False})

    assert not is_logged_in(client)


def test_without_our_limits_a_session_would_last_for_weeks(settings: Settings) -> None:
    """The control: Django's own sessions have neither limit."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    settings.SESSION_COOKIE_AGE = 14 * 86_400
    client = logged_in(make_staff())

    for _ in range(24):
        pass_time(LIFETIME / 24 + IDLE)

    assert is_logged_in(client)


def test_ones_own_new_password_ends_all_sessions_but_this_one() -> None:
    staff = make_staff(is_superuser=True)
    here, elsewhere = logged_in(staff), logged_in(staff)

    answer = here.post(
        "/admin/password_change/",
        {
            "old_password": PASSWORD,
            "new_password1": "another-Horse-9",
            "new_password2": "another-Horse-9",
        },
    )

    assert answer.status_code == 302
    assert is_logged_in(here)
    assert not is_logged_in(elsewhere)


def test_expired_sessions_are_purged() -> None:
    logged_in(make_staff())
    pass_time(IDLE + 86_400)
    logged_in(make_staff())

    assert purge_sessions(before=timezone.now() - timedelta(days=1), deadline=monotonic() + 9) == 1
    assert Session.objects.count() == 1


@pytest.mark.parametrize("name", ["SESSION_IDLE_MINUTES", "SESSION_LIFETIME_HOURS"])
def test_a_session_without_a_limit_cannot_be_configured(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "0")

    with pytest.raises(ImproperlyConfigured, match="must be positive"):
        runpy.run_path(security.__file__)
