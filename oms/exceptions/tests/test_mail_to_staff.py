"""Staff are notified of exceptions by e-mail, and not flooded."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from notifications.models import Kind, Notification
from notifications.operations.subscriptions import queue_notifications
from oms.core import clock
from oms.core.actor import system
from oms.core.ids import first_id_at
from oms.core.permissions import Permission
from oms.events.models import Event
from oms.events.relay import recorded
from oms.exceptions.kinds import ExceptionKind
from oms.exceptions.operations.recording import NewException, raise_exceptions
from oms.testing.factories import make_customer, make_staff

pytestmark = pytest.mark.django_db


def raise_and_notify(*subjects: str, kind: ExceptionKind = ExceptionKind.REFUND_FAILED) -> None:
    last = Event.objects.order_by("position").last()
    new = [NewException(kind=kind, subject=subject, cause="Refused.") for subject in subjects]
    with transaction.atomic():
        raise_exceptions(new, actor=system("tests"))
    events = Event.objects.filter(type="exception.raised").order_by("position")
    if last is not None:
        events = events.filter(position__gt=last.position)
    with transaction.atomic():
        queue_notifications([recorded(event) for event in events])


def test_the_staff_concerned_get_one_mail_an_hour_for_each_kind() -> None:
    accountant = make_staff(permissions={Permission.PAYMENTS_VIEW})
    make_staff(permissions={Permission.STOCK_VIEW})
    make_customer()

    raise_and_notify("payment:1", "payment:2")
    raise_and_notify("payment:3")

    mail = Notification.objects.get(kind=Kind.EXCEPTION)
    assert (mail.email, mail.subject) == (accountant.email, "Exception: refund failed")
    assert "Refused." in mail.body
    assert "/admin/exceptions/exceptionrecord/" in mail.body

    raise_and_notify("refund:1", kind=ExceptionKind.DISPUTE)
    assert Notification.objects.filter(kind=Kind.EXCEPTION).count() == 2

    hour_ago = clock.now() - timedelta(minutes=61)
    Notification.objects.filter(pk=mail.pk).update(id=first_id_at(hour_ago))
    raise_and_notify("payment:4")
    assert Notification.objects.filter(kind=Kind.EXCEPTION).count() == 3


def test_there_is_no_mail_about_mail() -> None:
    make_staff()

    raise_and_notify("notification:1", kind=ExceptionKind.DEAD_MAIL)

    assert not Notification.objects.filter(kind=Kind.EXCEPTION).exists()
