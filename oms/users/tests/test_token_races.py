"""Concurrent refreshes and logins."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet

from oms.core import clock
from oms.testing.factories import (
    ANONYMOUS,
    PASSWORD,
    make_customer,
    tokens_for,
)
from oms.testing.threads import at_once
from oms.users.errors import BadCredentials
from oms.users.models import Session, User
from oms.users.operations import sessions
from oms.users.operations.sessions import TokenPair, log_in
from oms.users.tests.test_tokens import refreshed, status_with


@pytest.mark.django_db(transaction=True)
def test_of_concurrent_refreshes_of_one_token_one_wins() -> None:
    carla = make_customer()
    for _ in range(8):
        pair = tokens_for(carla)

        def refresh(token: str = pair.refresh) -> int:
            return int(refreshed(token).status_code)

        assert sorted(at_once(refresh, refresh, refresh)) == [200, 401, 401]


@pytest.mark.django_db(transaction=True)
def test_without_the_lock_both_refreshes_would_win(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = tokens_for(make_customer())
    both_read = threading.Barrier(2)
    make_token = sessions._refresh_token

    def when_both_have_read(**claims: Any) -> Any:
        both_read.wait(timeout=10)
        return make_token(**claims)

    monkeypatch.setattr(sessions, "_refresh_token", when_both_have_read)
    monkeypatch.setattr(QuerySet, "select_for_update", lambda self, **_: self)

    statuses = at_once(*[lambda: refreshed(pair.refresh).status_code] * 2)

    assert list(statuses) == [200, 200]


@pytest.mark.django_db(transaction=True)
def test_the_loser_of_a_race_does_not_end_the_winners_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pair = tokens_for(make_customer())
    make_token = sessions._refresh_token
    waiting = threading.Event()

    def when_the_other_waits(**claims: Any) -> Any:
        waiting.set()
        _wait_for_a_blocked_statement()
        return make_token(**claims)

    def second() -> Any:
        waiting.wait(timeout=10)
        return refreshed(pair.refresh)

    monkeypatch.setattr(sessions, "_refresh_token", when_the_other_waits)
    winner, loser = at_once(lambda: refreshed(pair.refresh), second)
    monkeypatch.undo()

    assert (winner.status_code, loser.status_code) == (200, 401)
    assert status_with(winner.json()["access"]) == 200
    assert refreshed(winner.json()["refresh"]).status_code == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("change", [{"is_active": False}, {"password": "another hash"}])
def test_a_login_concurrent_with_a_deactivation_or_password_change_opens_no_session(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    carla = make_customer()
    open_session = sessions._open_session

    def after_the_change(**arguments: Any) -> TokenPair:
        User.objects.filter(pk=carla.pk).update(**change)
        return open_session(**arguments)

    monkeypatch.setattr(sessions, "_open_session", after_the_change)

    with pytest.raises(BadCredentials):
        log_in(actor=ANONYMOUS, email=carla.email, password=PASSWORD)
    assert not Session.objects.exists()


def _wait_for_a_blocked_statement() -> None:
    deadline = clock.now() + timedelta(seconds=10)
    while clock.now() < deadline:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")  # or it stays that of the first look
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            if cursor.fetchone()[0]:
                return
    raise AssertionError("Nobody came to wait for the lock.")
