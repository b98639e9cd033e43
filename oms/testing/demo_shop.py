"""Shops that all tests of a module share; each test sees its shop as it was created."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connection, transaction
from pytest_django import DjangoDbBlocker


@contextmanager
def shared_shop(blocker: DjangoDbBlocker, create: Callable[[], object]) -> Iterator[None]:
    """Call `create`, whose rows exist for as long as the block lasts, for a fixture of a module.

    The transactions of the tests are nested in that of the shop, which is rolled back. So no test
    of the module may be a transactional one.
    """
    outer = transaction.atomic()
    # As of a test case, which oms.db.transactions does not count as a transaction.
    outer._from_testcase = True  # type: ignore[attr-defined]  # Django's own mark
    with blocker.unblock():
        outer.__enter__()
        create()
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
    yield
    with blocker.unblock():
        transaction.set_rollback(True)
        outer.__exit__(None, None, None)
