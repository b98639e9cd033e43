"""Many rows with one statement, and many statements as one."""

from __future__ import annotations

from contextlib import suppress

import pytest
from django.db import DataError
from django.db import transaction as django_transaction
from pytest_django import DjangoAssertNumQueries

from oms.core.clock import now
from oms.core.errors import Conflict
from oms.core.ids import new_id
from oms.db.bulk_writes import insert_rows, write
from oms.db.pipeline import Pipeline
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


def test_the_writes_of_a_pipeline_are_one_statement_at_its_end(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    user = make_customer(full_name="before")
    rename = "UPDATE users_user SET full_name = %s WHERE id = %s AND full_name = %s"

    with (
        django_assert_num_queries(4),  # BEGIN and COMMIT are counted
        django_transaction.atomic(),
        Pipeline() as pipeline,
    ):
        write(rename, ["after", user.pk, "before"], pipeline=pipeline)
        _insert_session(user, jti="together", pipeline=pipeline)
        [[name]] = pipeline.query(
            "SELECT full_name FROM users_user WHERE id = %s", [user.pk]
        ).rows()
        write(rename, ["much later", user.pk, "after"], pipeline=pipeline)

    user.refresh_from_db()
    assert name == "before", "results of queries do not wait for writes"
    assert user.full_name == "after", "no write sees what another one does"
    assert Session.objects.get().refresh_jti == "together"


def test_a_write_that_fails_is_raised_at_the_end_and_undoes_the_others() -> None:
    user = make_customer()
    ended = []

    @transaction
    def operation() -> None:
        with Pipeline() as pipeline:
            write(
                "UPDATE users_user SET full_name = %s WHERE id = %s",
                ["written", user.pk],
                pipeline=pipeline,
            )
            _insert_session(user, jti="j" * 65, pipeline=pipeline)
            ended.append(1)

    with pytest.raises(DataError):
        operation()
    assert (ended, _written()) == ([1], 0)


def test_what_was_queued_before_an_error_is_never_written() -> None:
    user = make_customer()
    rename = "UPDATE users_user SET full_name = %s WHERE id = %s"

    with django_transaction.atomic():
        with suppress(Conflict), Pipeline() as pipeline:
            write(rename, ["written", user.pk], pipeline=pipeline)
            raise Conflict
        write(rename, ["alone", user.pk])

    user.refresh_from_db()
    assert user.full_name == "alone"


def _insert_session(user: User, *, jti: str, pipeline: Pipeline) -> None:
    columns = ["id", "user", "refresh_jti", "created_at", "rotated_at", "expires_at"]
    insert_rows(
        Session,
        [*columns, "revoked_because"],
        [(new_id(), user.pk, jti, now(), now(), now(), "")],
        pipeline=pipeline,
    )


def _written() -> int:
    return User.objects.filter(full_name="written").count()
