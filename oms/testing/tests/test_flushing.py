"""Append-only tables can be emptied between tests, and only there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import DatabaseError, connection, transaction


@pytest.fixture
def _ledger(transactional_db: None) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE oms_test_ledger AS SELECT 1 AS value;"
            "CREATE TRIGGER oms_test_ledger_no_truncate BEFORE TRUNCATE ON oms_test_ledger "
            "FOR EACH STATEMENT EXECUTE FUNCTION oms_refuse_change()"
        )
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE oms_test_ledger")


@pytest.mark.usefixtures("_ledger")
def test_flushing_empties_an_append_only_table_and_leaves_its_guard_on() -> None:
    connection.ops.execute_sql_flush(["TRUNCATE oms_test_ledger"])

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM oms_test_ledger")
        assert cursor.fetchone() == (0,)
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            cursor.execute("TRUNCATE oms_test_ledger")
