"""Payment workers for tests, and the charges in the sandbox provider's ledger."""

from __future__ import annotations

from decimal import Decimal

from django.db.models.functions import Now

from oms.testing.factories import make_product
from oms.testing.ordering import payment_of, place, settle
from orders.models import Order
from payments.models import Payment
from payments.operations.processing import PaymentProcessor
from payments.tests.sandbox_process import SandboxProcess

NOWHERE = "http://127.0.0.1:9"


def work() -> bool:
    """Process all that is due; returns whether anything was."""
    processor = PaymentProcessor()
    has_worked = False
    while processor.work():
        has_worked = True
    return has_worked


def charges(sandbox: SandboxProcess, order: Order) -> list[tuple[str, str]]:
    """The provider's own charges for the order: their keys and statuses."""
    return sandbox.rows(
        "SELECT idempotency_key, status FROM charges WHERE reference = ?", str(order.id)
    )


def make_due(payment: Payment) -> None:
    """Make the payment due, as after its pause."""
    Payment.objects.filter(pk=payment.pk).update(next_attempt_at=Now(), lease_until=None)


def process(payment: Payment, *, times: int = 4) -> Payment:
    """Run a worker that often, each time after the pause of the payment."""
    for _ in range(times):
        if payment.next_attempt_at is not None:
            make_due(payment)
        work()
        payment.refresh_from_db()
    return payment


def charged_order(paid_with: str = "tok_success") -> Order:
    """An order that is paid, in the provider's ledger too."""
    order = place((make_product(price=Decimal("50.00")), 1), token=paid_with)
    work()
    settle()
    order.refresh_from_db()
    assert payment_of(order).status == "captured"
    return order
