"""Exceptions are raised once, settled by what mends them, or resolved by staff."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Q
from django.urls import reverse

from oms.core.actor import system
from oms.core.ids import new_id
from oms.core.permissions import ROLES, Permission
from oms.events.models import Event
from oms.exceptions.kinds import KIND_RULES, ExceptionKind
from oms.exceptions.models import ExceptionRecord
from oms.exceptions.operations.recording import (
    NewException,
    raise_exceptions,
    settle_exceptions,
    subject_of,
)
from oms.testing.factories import api_client, make_customer, make_staff

pytestmark = pytest.mark.django_db

ACTOR = system("tests")


def failed_refund(cause: str = "Refused.", **values: Any) -> NewException:
    values = {"subject": subject_of("payment", new_id()), **values}
    return NewException(kind=ExceptionKind.REFUND_FAILED, cause=cause, **values)


def raise_(*new: NewException) -> None:
    with transaction.atomic():
        raise_exceptions(new, actor=ACTOR)


def events_of(type_: str) -> list[Any]:
    return list(Event.objects.filter(type=type_).order_by("position"))


def test_an_exception_is_open_once_and_gets_the_newest_cause() -> None:
    order_id, payment_id = new_id(), new_id()
    subject = subject_of("payment", payment_id)
    first = failed_refund(subject=subject, order_id=order_id, payment_id=payment_id)

    raise_(first, failed_refund())
    raise_(failed_refund("Refused again.", subject=subject), failed_refund("Again", subject="a:b"))

    row = ExceptionRecord.objects.get(subject=subject)
    assert (row.kind, row.cause, row.order_id) == ("refund_failed", "Refused again.", order_id)
    assert row.is_open
    assert row.operations == ("refund",)
    assert ExceptionRecord.objects.count() == 3
    raised = events_of("exception.raised")
    assert len(raised) == 3
    assert raised[0].data["order_id"] == str(order_id)
    assert raised[0].actor_label == "tests"


def test_one_that_was_settled_can_be_raised_again() -> None:
    new = failed_refund()
    raise_(new)

    with transaction.atomic():
        about = Q(subject=new.subject)
        assert settle_exceptions([ExceptionKind.DISPUTE], about=about, actor=ACTOR) == 0
        assert settle_exceptions([ExceptionKind.REFUND_FAILED], about=about, actor=ACTOR) == 1
        assert settle_exceptions([ExceptionKind.REFUND_FAILED], about=about, actor=ACTOR) == 0
    raise_(new)

    settled, again = ExceptionRecord.objects.order_by("id")
    assert (settled.is_open, settled.resolved_by, settled.note) == (False, "tests", "")
    assert again.is_open
    assert len(events_of("exception.resolved")) == 1


def test_exceptions_belong_to_the_transaction_that_learns_of_them() -> None:
    with transaction.atomic():
        raise_exceptions([failed_refund()], actor=ACTOR)
        transaction.set_rollback(True)

    assert not ExceptionRecord.objects.exists()
    assert not events_of("exception.raised")


def test_a_cause_that_a_provider_wrote_is_cut_and_stored() -> None:
    raise_(failed_refund("x\x00" + "y" * 1000))

    assert ExceptionRecord.objects.get().cause == "x" + "y" * 499


def test_staff_see_what_they_may_see() -> None:
    raise_(*(NewException(kind=kind, subject=f"thing:{kind}", cause="…") for kind in ExceptionKind))
    path = reverse("admin-exceptions")

    for permission in {rules.permission for rules in KIND_RULES.values()}:
        staff = make_staff(permissions={Permission.ORDERS_VIEW, permission})
        results = api_client(staff).get(path).json()["results"]
        visible = {Permission.ORDERS_VIEW, permission}
        assert {each["kind"] for each in results} == {
            kind for kind, rules in KIND_RULES.items() if rules.permission in visible
        }
    for permissions in ROLES.values():
        assert api_client(make_staff(permissions=permissions)).get(path).status_code == 200
    assert api_client(make_staff(permissions=())).get(path).status_code == 403
    assert api_client(make_customer()).get(path).status_code == 403


def test_exceptions_are_filtered() -> None:
    order_id, payment_id = new_id(), new_id()
    raise_(failed_refund(order_id=order_id), failed_refund(payment_id=payment_id), failed_refund())
    client, path = api_client(make_staff()), reverse("admin-exceptions")
    resolved = ExceptionRecord.objects.get(order_id=order_id)
    client.post(reverse("admin-exception-resolve", kwargs={"id": resolved.id}))

    def found(**filters: Any) -> int:
        return len(client.get(path, filters).json()["results"])

    assert found() == 3
    assert found(order_id=order_id) == found(payment_id=payment_id) == 1
    assert (found(resolved="true"), found(resolved="false")) == (1, 2)
    assert (found(kind="refund_failed"), found(kind="dispute")) == (3, 0)
    assert client.get(path, {"kind": "other"}).status_code == 400


def test_staff_resolve_an_exception_with_a_note_once() -> None:
    raise_(failed_refund())
    staff = make_staff()
    client, exception = api_client(staff), ExceptionRecord.objects.get()
    path = reverse("admin-exception-resolve", kwargs={"id": exception.id})

    answer = client.post(path, {"note": "Paid in cash."})

    assert answer.status_code == 200
    assert answer.json()["note"] == "Paid in cash."
    assert answer.json()["resolved_by"] == staff.email
    [event] = events_of("exception.resolved")
    assert (event.actor_label, event.data["note"]) == (staff.email, "Paid in cash.")
    again = client.post(path, {"note": "Once more."})
    assert (again.status_code, again.json()["code"]) == (409, "exception_already_resolved")
    exception.refresh_from_db()
    assert exception.note == "Paid in cash."


def test_resolving_needs_the_permission_to_see_it() -> None:
    raise_(failed_refund())
    exception = ExceptionRecord.objects.get()
    path = reverse("admin-exception-resolve", kwargs={"id": exception.id})
    clerk = make_staff(permissions={Permission.ORDERS_VIEW, Permission.CUSTOMERS_VIEW})

    answer = api_client(clerk).post(path)

    assert (answer.status_code, answer.json()["permission"]) == (403, "payments.view")
    exception.refresh_from_db()
    assert exception.is_open
    missing = reverse("admin-exception-resolve", kwargs={"id": new_id()})
    assert api_client(make_staff()).post(missing).status_code == 404


def test_raising_many_takes_as_many_statements_as_one(
    django_assert_num_queries: Any,
) -> None:
    with transaction.atomic(), django_assert_num_queries(2):
        raise_exceptions([failed_refund() for _ in range(50)], actor=ACTOR)
    assert connection.in_atomic_block
