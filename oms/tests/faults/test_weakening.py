"""What the weaknesses of the controls do, on a small scale."""

from __future__ import annotations

from contextlib import nullcontext

import psycopg
import pytest
from django.db import connection

from oms.core.ids import new_id
from oms.events.models import Event
from oms.testing.event_log import wait_until_readable
from oms.testing.factories import api_client, make_customer, make_product, make_staff
from oms.testing.ordering import place
from oms.tests.faults.weakened.weakened import WEAKNESSES

pytestmark = pytest.mark.django_db(transaction=True)

_COPY = """
    INSERT INTO events_event (id, type, object_type, object_id, data, actor_kind, actor_label,
                              request_id, occurred_at)
    SELECT %s, type, object_type, object_id, data, actor_kind, actor_label, request_id, occurred_at
    FROM events_event WHERE id = %s
"""


@pytest.mark.parametrize("is_weakened", [False, True])
@pytest.mark.parametrize("path", ["/api/v1/events", "/api/v1/admin/events"])
def test_what_is_not_settled_is_missed_by_customers_and_staff(
    path: str, *, is_weakened: bool
) -> None:
    buyer, mug = make_customer(), make_product()
    client = api_client(make_staff() if "admin" in path else buyer)
    first = place((mug, 1), customer=buyer)
    wait_until_readable()
    following = client.get(f"{path}?after=latest").json()["next"]
    [copied] = Event.objects.filter(type="order.placed", object_id=first.id)
    seen, late = [], new_id()

    with (
        WEAKNESSES["settled"]() if is_weakened else nullcontext(),
        psycopg.connect(connection.connection.info.dsn) as other,
    ):
        other.execute(_COPY, [late, copied.id])
        place((mug, 1), customer=buyer)
        for _ in range(2):
            page = client.get(following).json()
            seen += [event["id"] for event in page["results"]]
            following = page["next"]
            other.commit()
            wait_until_readable()

    [placed] = Event.objects.filter(type="order.placed").exclude(object_id=first.id)
    right = [str(late), str(placed.id)]
    assert seen == (right[1:] if is_weakened else right)
