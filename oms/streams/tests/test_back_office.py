"""Tickets for pages of the back office."""

from __future__ import annotations

import pytest
from django.test import Client

from oms.core.ids import new_id
from oms.events.models import Event
from oms.streams.models import Ticket
from oms.testing.factories import make_product, make_staff

pytestmark = pytest.mark.django_db


def test_a_page_learns_that_the_log_no_longer_has_its_position() -> None:
    browser = Client()
    browser.force_login(make_staff())
    make_product()
    known, unknown = Event.objects.values_list("id", flat=True)[0], new_id()

    def status(**form: object) -> int:
        return browser.post("/admin/stream/ticket/", form).status_code

    assert (status(after=unknown), Ticket.objects.count()) == (410, 0)
    assert [status(after=known), status(after=""), status()] == [201] * 3
