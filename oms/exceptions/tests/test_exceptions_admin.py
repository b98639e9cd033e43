"""The inbox of exceptions in the back office."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from oms.core.actor import system
from oms.core.permissions import Permission
from oms.exceptions.kinds import HELP, KIND_RULES, ExceptionKind
from oms.exceptions.models import ExceptionRecord
from oms.exceptions.operations.recording import NewException, raise_exceptions, subject_of
from oms.testing.factories import make_product, make_staff
from oms.testing.ordering import paid_order, payment_of
from orders.models import Order

pytestmark = pytest.mark.django_db

INBOX = "/admin/exceptions/exceptionrecord/"


def client_with(*permissions: Permission) -> Client:
    client = Client()
    client.force_login(
        make_staff(permissions={Permission.ORDERS_VIEW, *permissions}),
        backend="oms.users.authentication.BackOfficeBackend",
    )
    return client


def raise_about(order: Order, *kinds: ExceptionKind) -> list[ExceptionRecord]:
    payment = payment_of(order)
    new = [
        NewException(
            kind=kind,
            subject=subject_of("payment", payment.id),
            cause=f"Cause of {kind.value}.",
            order_id=order.id,
            payment_id=payment.id,
        )
        for kind in kinds
    ]
    with transaction.atomic():
        raise_exceptions(new, actor=system("tests"))
    return list(ExceptionRecord.objects.order_by("id"))


def text(answer: Any) -> str:
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_every_kind_says_what_it_means() -> None:
    assert set(HELP) == set(KIND_RULES) == set(ExceptionKind)


def test_the_inbox_shows_what_staff_may_see_with_links() -> None:
    order = paid_order((make_product(), 1))
    raise_about(order, ExceptionKind.REFUND_FAILED, ExceptionKind.STOCK_LOST)

    page = text(client_with(Permission.PAYMENTS_VIEW).get(INBOX))
    assert "Cause of refund_failed." in page
    assert "Cause of stock_lost." in page
    assert f"/admin/orders/order/{order.id}/change/" in page
    assert f"/admin/payments/payment/{payment_of(order).id}/change/" in page
    page = text(client_with().get(INBOX))
    assert "Cause of stock_lost." in page
    assert "Cause of refund_failed." not in page


def test_the_dashboard_counts_the_open_ones_that_staff_may_see() -> None:
    raise_about(
        paid_order((make_product(), 1)), ExceptionKind.REFUND_FAILED, ExceptionKind.STOCK_LOST
    )

    for client, count in ((client_with(Permission.PAYMENTS_VIEW), 2), (client_with(), 1)):
        [figure] = [
            figure
            for figure in client.get("/admin/").context["figures"]
            if figure.url.startswith(INBOX)
        ]
        assert (figure.value, figure.is_warning) == (str(count), True)


def test_an_exception_is_resolved_from_its_page() -> None:
    [exception] = raise_about(paid_order((make_product(), 1)), ExceptionKind.REFUND_FAILED)
    client = client_with(Permission.PAYMENTS_VIEW)
    page = text(client.get(f"{INBOX}{exception.id}/change/"))
    assert str(HELP[ExceptionKind.REFUND_FAILED]) in page
    assert "Resolve" in page

    client.post(f"{INBOX}{exception.id}/resolve/", {"note": "Paid in cash."})

    exception.refresh_from_db()
    assert (exception.is_open, exception.note) == (False, "Paid in cash.")
    for state, is_listed in (("open", False), ("resolved", True)):
        shown = text(client.get(INBOX, {"state": state}))
        assert ("Cause of refund_failed." in shown) is is_listed


def test_what_staff_may_not_see_they_do_not_resolve() -> None:
    [exception] = raise_about(paid_order((make_product(), 1)), ExceptionKind.REFUND_FAILED)

    client_with().post(f"{INBOX}{exception.id}/resolve/", {"note": "Mine."})

    exception.refresh_from_db()
    assert exception.is_open


def test_exceptions_are_found_by_the_order_and_by_what_they_are_about() -> None:
    first, second = (paid_order((make_product(), 1)) for _ in range(2))
    raise_about(first, ExceptionKind.REFUND_FAILED)
    raise_about(second, ExceptionKind.DISPUTE)
    client = client_with(Permission.PAYMENTS_VIEW)

    for term in (first.number, str(first.id), str(payment_of(first).id)):
        page = text(client.get(INBOX, {"q": term}))
        assert "Cause of refund_failed." in page, term
        assert "Cause of dispute." not in page, term
