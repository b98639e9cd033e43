"""Flushing between tests: append-only tables too, and only there."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from oms.events.models import Event
from oms.testing.factories import make_product
from oms.testing.ordering import place


@pytest.mark.django_db(transaction=True)
def test_a_flush_empties_append_only_tables_and_keeps_their_triggers_and_the_permissions() -> None:
    place((make_product(), 1))
    permissions = set(Permission.objects.values_list("id", "codename"))
    assert permissions

    call_command("flush", interactive=False, verbosity=0)

    assert not Event.objects.exists()
    assert set(Permission.objects.values_list("id", "codename")) == permissions
    place((make_product(), 1))
    with (
        pytest.raises(DatabaseError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("DELETE FROM events_event")
