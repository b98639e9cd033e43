"""Payments that are authorised first and captured later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import transaction

from oms.events.publishing import publish
from oms.testing.factories import actor_for, make_product, make_staff
from oms.testing.ordering import (
    PROVIDER,
    payment_of,
    place,
    report,
    settle,
)
from orders.operations.status_changes import set_order_status
from orders.states import OrderStatus
from payments.events import PaymentBecameUnknown
from payments.gateways.base import ChargeStatus
from payments.models import Payment
from payments.states import PaymentStatus

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings

pytestmark = pytest.mark.django_db


def test_an_authorised_payment_confirms_and_shipping_captures_it(settings: object) -> None:
    settings.PAYMENT_CAPTURE = "manual"  # type: ignore[attr-defined]  # pytest-django's wrapper
    order = place((make_product(), 1), token="tok_success")
    report(order, ChargeStatus.AUTHORIZED)
    settle()
    order.refresh_from_db()
    assert (order.status, order.payment_status) == ("confirmed", "authorized")

    staff = actor_for(make_staff())
    for status in (OrderStatus.PROCESSING, OrderStatus.SHIPPED):
        set_order_status(actor=staff, order_id=order.id, status=status)

    payment = payment_of(order)
    assert payment.requested_action == "capture"
    assert payment.next_attempt_at is not None
    report(order)
    settle()
    order.refresh_from_db()
    assert (order.status, order.payment_status) == ("shipped", "paid")


def test_cancelling_an_authorised_order_requests_a_void(settings: object) -> None:
    settings.PAYMENT_CAPTURE = "manual"  # type: ignore[attr-defined]  # pytest-django's wrapper
    order = place((make_product(), 1), token="tok_success")
    report(order, ChargeStatus.AUTHORIZED)
    settle()

    set_order_status(actor=actor_for(make_staff()), order_id=order.id, status=OrderStatus.CANCELLED)

    assert payment_of(order).requested_action == "void"
    report(order, ChargeStatus.VOIDED)
    settle()
    order.refresh_from_db()
    assert (order.status, order.payment_status) == ("cancelled", "unpaid")
    assert payment_of(order).status == PaymentStatus.VOIDED


def test_an_unknown_payment_that_was_authorised_becomes_authorised(
    settings: Settings,
) -> None:
    settings.PAYMENT_CAPTURE = "manual"
    order = place((make_product(), 1), token="tok_timeout_success")
    publish_unknown(payment_of(order))
    settle()
    order.refresh_from_db()
    assert (order.status, order.payment_status) == ("pending", "unknown")

    report(order, ChargeStatus.AUTHORIZED)
    settle()

    order.refresh_from_db()
    assert (order.status, order.payment_status) == ("confirmed", "authorized")


def publish_unknown(payment: Payment) -> None:
    Payment.objects.filter(pk=payment.pk).update(status=PaymentStatus.UNKNOWN)
    fact = PaymentBecameUnknown(payment_id=payment.id, order_id=payment.order_id)
    with transaction.atomic():
        publish(fact, actor=PROVIDER)
