"""Webhooks about what happened at the provider, and the state of the books after them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from oms.core.ids import new_id
from oms.exceptions.models import ExceptionRecord
from oms.reconcile.runner import run_checks
from oms.testing.factories import api_client, make_product
from oms.testing.ordering import (
    paid_order,
    place,
    report_refund,
    settle,
)
from oms.testing.webhooks import WEBHOOKS, charge_of, signed_headers, webhook_body
from orders.checks import CHECKS as ORDER_CHECKS
from orders.models import Order
from orders.placements import PaymentChoice
from payments.checks import CHECKS as PAYMENT_CHECKS
from payments.gateways.base import RefundStatus as RefundOutcome
from payments.models import Payment, Refund

CHOICE = PaymentChoice(provider="sandbox", token="tok_success")


def deliver(data: dict[str, Any], *, type: str) -> None:
    """Deliver a webhook about `data`, and let orders handle what follows."""
    id = str(new_id())
    body = webhook_body(data, type=type, id=id)
    client: Any = api_client()
    headers = signed_headers(body, id=id)
    answer = client.generic(
        "POST", WEBHOOKS, body, content_type="application/json", headers=headers
    )
    assert answer.status_code == 204, answer.content
    settle()


def captured(payment: Payment, minor_units: int = 0, **values: Any) -> None:
    """The provider has captured so many minor units of the payment, by default all."""
    data = charge_of(payment)
    amount = minor_units or data["amount"]
    values = {"captured_amount": amount, "amount": max(amount, data["amount"]), **values}
    deliver({**data, **values}, type="charge.captured")


def refunded(payment: Payment, minor_units: int, *, id: str = "re_theirs") -> None:
    """Somebody else has refunded so many minor units of the payment."""
    data = {
        "id": id,
        "idempotency_key": "not-ours",
        "status": "succeeded",
        "charge_id": payment.provider_reference,
        "amount": minor_units,
        "currency": payment.currency,
        "reason": "By hand.",
    }
    deliver(data, type="refund.succeeded")


def disputed(payment: Payment, minor_units: int, status: str = "open", id: str = "dp_1") -> None:
    data = {
        "id": id,
        "status": status,
        "charge_id": payment.provider_reference,
        "amount": minor_units,
        "currency": payment.currency,
        "reason": "fraudulent",
    }
    deliver(data, type=f"dispute.{status}")


def order_of(price: str = "100.00", **values: Any) -> Order:
    return place((make_product(price=Decimal(price)), 1), token="tok_success", **values)


def paid(price: str = "100.00", **values: Any) -> Order:
    return paid_order((make_product(price=Decimal(price)), 1), **values)


def state(order: Order) -> tuple[str, str]:
    order.refresh_from_db()
    return order.status, order.payment_status


def open_exceptions(order: Order) -> list[str]:
    rows = ExceptionRecord.objects.filter(order_id=order.id, resolved_at=None)
    return sorted(rows.values_list("kind", flat=True))


def broken_checks() -> list[tuple[str, Any]]:
    """The data checks that do not hold, but for those that need the log to be readable."""
    findings = run_checks([*ORDER_CHECKS, *PAYMENT_CHECKS])
    return [(each.name, each.violations) for each in findings if not each.holds]


def succeed(refund: Refund) -> None:
    _outcome(refund, RefundOutcome.SUCCEEDED)


def fail(refund: Refund) -> None:
    _outcome(refund, RefundOutcome.FAILED)


def _outcome(refund: Refund, status: RefundOutcome) -> None:
    assert report_refund(refund, status)
    settle()
