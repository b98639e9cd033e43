"""Many rows with one statement, and many statements as one."""

from __future__ import annotations

import pytest
from django.db import DataError
from django.db import transaction as django_transaction
from pytest_django import DjangoAssertNumQueries

from oms.core.clock import now
from oms.core.errors import Conflict
from oms.core.ids import new_id
from oms.db.bulk_writes import insert_rows, write, written_together
from oms.db.transactions import transaction
from oms.testing.factories import make_customer
from oms.users.models import Session, User

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_text_that_is_too_long_is_refused_and_not_cut() -> None:
    user, at, id = make_customer(), now(), new_id()
    columns = ["id", "user", "refresh_jti", "created_at", "rotated_at", "expires_at"]
    columns.append("revoked_because")

    def insert(jti: str, *, skip_existing: bool = False) -> None:
        row = (id, user.pk, jti, at, at, at, "")
        insert_rows(Session, columns, [row], skip_existing=skip_existing)

    insert("j" * 64)
    with pytest.raises(DataError):
        insert("j" * 65)
    insert("another", skip_existing=True)
    insert_rows(Session, columns, [])

    assert Session.objects.get().refresh_jti == "j" * 64


def test_what_is_written_together_is_one_statement_at_the_end(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    user = make_customer(full_name="before")
    rename = "UPDATE users_user SET full_name = %s WHERE id = %s AND full_name = %s"

    with (
        django_assert_num_queries(3),  # BEGIN and COMMIT are counted
        django_transaction.atomic(),
        written_together(),
    ):
        write(rename, ["after", user.pk, "before"])
        with written_together():
            _insert_session(user, jti="together")
        write(rename, ["much later", user.pk, "after"])

    user.refresh_from_db()
    assert user.full_name == "after", "no statement sees what another writes"
    assert Session.objects.get().refresh_jti == "together"


def test_what_fails_together_is_raised_at_the_end_and_undone_as_a_whole() -> None:
    user = make_customer()
    ended = []

    @transaction
    def operation() -> None:
        with written_together():
            write("UPDATE users_user SET full_name = %s WHERE id = %s", ["written", user.pk])
            _insert_session(user, jti="j" * 65)
            ended.append(1)

    with pytest.raises(DataError):
        operation()
    assert (ended, _written()) == ([1], 0)


def test_what_was_gathered_before_an_error_is_never_written() -> None:
    user = make_customer()

    @written_together()
    def operation() -> None:
        write("UPDATE users_user SET full_name = %s WHERE id = %s", ["written", user.pk])
        raise Conflict

    with django_transaction.atomic():
        with pytest.raises(Conflict):
            operation()
        write("UPDATE users_user SET full_name = %s WHERE id = %s", ["alone", user.pk])

    user.refresh_from_db()
    assert user.full_name == "alone"


def _insert_session(user: User, *, jti: str) -> None:
    columns = ["id", "user", "refresh_jti", "created_at", "rotated_at", "expires_at"]
    insert_rows(
        Session,
        [*columns, "revoked_because"],
        [(new_id(), user.pk, jti, now(), now(), now(), "")],
    )


def _written() -> int:
    return User.objects.filter(full_name="written").count()
