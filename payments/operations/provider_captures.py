"""Money that was captured without a payment of ours that expects it.

It becomes a payment of origin `provider` of its own, so that what was final stays as it was, and
an exception: somebody else charged with the same account, a charge was captured after it had
failed, captured again, or in another currency.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from django.db.models import Sum

from oms.core import clock
from oms.core.actor import Actor
from oms.core.ids import as_uuid, new_id
from oms.core.money import ZERO, rounded, with_currency
from oms.db.transactions import transaction, transaction_required
from oms.events.publishing import publish
from oms.exceptions.kinds import ExceptionKind
from payments.events import PaymentCaptured
from payments.gateways.base import ChargeResult, ChargeStatus
from payments.locks import LockedPayment, lock_charge
from payments.models import Payment
from payments.operations.exceptions import raise_about_payment
from payments.states import Origin, PaymentStatus

_ENDED = (PaymentStatus.FAILED, PaymentStatus.VOIDED)


class ReportedCharge(Protocol):
    """A charge of a payment, as a provider reports it, and who does."""

    @property
    def result(self) -> ChargeResult: ...
    @property
    def actor(self) -> Actor: ...


def is_unexpected_capture(payment: LockedPayment, result: ChargeResult) -> bool:
    """Whether the payment cannot record the capture: it has ended, or the currency is another.

    Nor can one that is captured already record another amount; a smaller one is a late update.
    """
    if result.status is not ChargeStatus.CAPTURED:
        return False
    if payment.status == PaymentStatus.CAPTURED:
        return (
            result.currency != payment.currency or result.captured_amount > payment.captured_amount
        )
    return payment.status in _ENDED or result.currency != payment.currency


@transaction_required
def record_unexpected_capture(
    payment: LockedPayment, charge: ReportedCharge, *, at: datetime
) -> bool:
    """Record what was captured with the key of the locked payment, beside it; once.

    Returns whether it was new. A payment that was captured with another amount than its own has
    recorded that itself, and only the exception is raised.
    """
    result, key = charge.result, str(payment.id)
    if payment.status == PaymentStatus.CAPTURED and result.currency == payment.currency:
        kind, own = ExceptionKind.CAPTURED_AMOUNT_DIFFERS, payment.captured_amount
        if own == result.captured_amount:
            raise_about_payment(
                kind,
                f"The provider captured {_money(result)} instead of {_asked(payment)}.",
                payment_id=payment.id,
                order_id=payment.order_id,
                actor=charge.actor,
            )
            return False
        cause = f"The provider has captured more: {_money(result)} of {_asked(payment)} by now."
    elif result.currency != payment.currency:
        kind, own = ExceptionKind.CAPTURED_CURRENCY_DIFFERS, ZERO
        cause = f"The provider captured {_money(result)} instead of {_asked(payment)}."
    else:
        kind, own = ExceptionKind.CAPTURED_AFTER_FINAL, ZERO
        cause = f"The provider captured {_money(result)} of a payment that had {payment.status}."
    return _record(
        result,
        provider=payment.provider,
        key=key,
        order_id=payment.order_id,
        own=own,
        kind=kind,
        cause=cause,
        actor=charge.actor,
        at=at,
    )


@transaction
def record_foreign_charge(*, actor: Actor, provider: str, key: str, result: ChargeResult) -> bool:
    """Record money that somebody else charged at the provider; whether that was new.

    The order is the one that the charge refers to, which may not exist.
    """
    if result.status is not ChargeStatus.CAPTURED:
        return False
    lock_charge(provider=provider, key=key)
    order_id = as_uuid(result.reference)
    order = f"the order {order_id}" if order_id else "no order of ours"
    return _record(
        result,
        provider=provider,
        key=key,
        order_id=order_id,
        own=ZERO,
        kind=ExceptionKind.CHARGE_AT_PROVIDER,
        cause=f"Somebody else charged {_money(result)} at the provider, for {order}.",
        actor=actor,
        at=clock.now(),
    )


def _record(
    result: ChargeResult,
    *,
    provider: str,
    key: str,
    order_id: UUID | None,
    own: Decimal,
    kind: ExceptionKind,
    cause: str,
    actor: Actor,
    at: datetime,
) -> bool:
    """Record what is captured of the charge beyond `own` and what is recorded already."""
    # Phrased so that the partial index of the keys is used.
    recorded = Payment.objects.filter(charge_key=key, provider=provider).exclude(charge_key="")
    total = recorded.filter(currency=result.currency).aggregate(total=Sum("captured_amount"))
    amount = result.captured_amount - own - (total["total"] or ZERO)
    if amount <= 0:
        return False
    nothing = rounded(ZERO, result.currency)
    payment = Payment.objects.create(
        id=new_id(),
        order_id=order_id,
        origin=Origin.PROVIDER,
        charge_key=key,
        provider=provider,
        token="",
        amount=amount,
        currency=result.currency,
        status=PaymentStatus.CAPTURED,
        captured_amount=amount,
        refunded_amount=nothing,
        refunded_at_provider=nothing,
        provider_reference=result.provider_reference,
        created_at=at,
        updated_at=at,
        captured_at=at,
        next_attempt_at=None,
    )
    publish(
        PaymentCaptured(
            payment_id=payment.id,
            order_id=order_id,
            amount=amount,
            currency=result.currency,
            origin=Origin.PROVIDER,
        ),
        actor=actor,
        at=at,
    )
    raise_about_payment(kind, cause, payment_id=payment.id, order_id=order_id, actor=actor)
    return True


def _money(result: ChargeResult) -> str:
    return with_currency(result.captured_amount, result.currency)


def _asked(payment: LockedPayment) -> str:
    return with_currency(payment.amount, payment.currency)
