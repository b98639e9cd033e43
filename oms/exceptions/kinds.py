"""The kinds of exceptions: what each means, who may see it, and what mends it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from oms.core.permissions import Permission


class ExceptionKind(models.TextChoices):
    PAYMENT_UNKNOWN = "payment_unknown", _("payment without an outcome")
    PAYMENT_STUCK = "payment_stuck", _("payment given up")
    CAPTURE_REJECTED = "capture_rejected", _("capture or void rejected")
    CAPTURED_AMOUNT_DIFFERS = "captured_amount_differs", _("another amount captured")
    CAPTURED_CURRENCY_DIFFERS = "captured_currency_differs", _("another currency captured")
    CAPTURED_AFTER_FINAL = "captured_after_final", _("captured after it had failed")
    CHARGE_AT_PROVIDER = "charge_at_provider", _("charge made at the provider")
    REFUND_STUCK = "refund_stuck", _("refund given up")
    REFUND_FAILED = "refund_failed", _("refund failed")
    REFUND_AMOUNT_DIFFERS = "refund_amount_differs", _("another amount refunded")
    REFUND_AT_PROVIDER = "refund_at_provider", _("refund made at the provider")
    REFUND_UNMATCHED = "refund_unmatched", _("refund of an unknown charge")
    DISPUTE = "dispute", _("dispute")
    STOCK_LOST = "stock_lost", _("order lost its stock")
    DEAD_MAIL = "dead_mail", _("e-mail given up")
    DEAD_EVENT = "dead_event", _("event given up")


@dataclass(frozen=True, kw_only=True)
class KindRules:
    """Who may see exceptions of a kind, and the calls that mend it, named as in `allowed_actions`.

    None where only the back office has what mends it: HELP names that.
    """

    permission: Permission
    operations: tuple[str, ...]


_MONEY = Permission.PAYMENTS_VIEW

KIND_RULES: Mapping[str, KindRules] = {
    ExceptionKind.PAYMENT_UNKNOWN: KindRules(permission=_MONEY, operations=()),
    ExceptionKind.PAYMENT_STUCK: KindRules(permission=_MONEY, operations=()),
    ExceptionKind.CAPTURE_REJECTED: KindRules(permission=_MONEY, operations=("pay", "cancel")),
    ExceptionKind.CAPTURED_AMOUNT_DIFFERS: KindRules(
        permission=_MONEY, operations=("pay", "refund", "cancel")
    ),
    ExceptionKind.CAPTURED_CURRENCY_DIFFERS: KindRules(
        permission=_MONEY, operations=("refund", "pay", "cancel")
    ),
    ExceptionKind.CAPTURED_AFTER_FINAL: KindRules(
        permission=_MONEY, operations=("refund", "cancel")
    ),
    ExceptionKind.CHARGE_AT_PROVIDER: KindRules(permission=_MONEY, operations=("refund", "cancel")),
    ExceptionKind.REFUND_STUCK: KindRules(permission=_MONEY, operations=()),
    ExceptionKind.REFUND_FAILED: KindRules(permission=_MONEY, operations=("refund",)),
    ExceptionKind.REFUND_AMOUNT_DIFFERS: KindRules(permission=_MONEY, operations=("refund",)),
    ExceptionKind.REFUND_AT_PROVIDER: KindRules(
        permission=_MONEY, operations=("cancel_items", "cancel", "refund")
    ),
    ExceptionKind.REFUND_UNMATCHED: KindRules(permission=_MONEY, operations=()),
    ExceptionKind.DISPUTE: KindRules(permission=_MONEY, operations=("set_status:on_hold",)),
    ExceptionKind.STOCK_LOST: KindRules(
        permission=Permission.ORDERS_VIEW, operations=("cancel_items", "cancel")
    ),
    ExceptionKind.DEAD_MAIL: KindRules(permission=Permission.CUSTOMERS_VIEW, operations=()),
    ExceptionKind.DEAD_EVENT: KindRules(permission=Permission.AUDIT_VIEW, operations=()),
}


def kinds_visible_with(held: Collection[Permission]) -> list[str]:
    """The kinds that staff with these permissions may see."""
    return [kind for kind, rules in KIND_RULES.items() if rules.permission in held]


def rules_of(kind: Any) -> KindRules:
    """The rules of a kind; of one that a later release has added, those of the audit trail."""
    unknown = KindRules(permission=Permission.AUDIT_VIEW, operations=())
    return KIND_RULES.get(kind, unknown)


HELP: Mapping[str, Any] = {
    ExceptionKind.PAYMENT_UNKNOWN: _(
        "The provider has not answered for a quarter of an hour. We retry automatically. Look at "
        "the provider's status page; don't ask the customer to pay again."
    ),
    ExceptionKind.PAYMENT_STUCK: _(
        "We no longer ask for the outcome. Open the payment and choose “Retry now”; the customer "
        "is never charged twice."
    ),
    ExceptionKind.CAPTURE_REJECTED: _(
        "The authorised money was not collected, or not released. Capture or void the payment "
        "again, let the customer pay again, or cancel the order."
    ),
    ExceptionKind.CAPTURED_AMOUNT_DIFFERS: _(
        "The order was put on hold. If too little was collected, let the customer pay the rest, or "
        "cancel the order, which refunds it. If too much was, refund the difference. Then release "
        "the hold."
    ),
    ExceptionKind.CAPTURED_CURRENCY_DIFFERS: _(
        "The money does not count as paid, and the order is on hold. Refund the payment, and let "
        "the customer pay again."
    ),
    ExceptionKind.CAPTURED_AFTER_FINAL: _(
        "The payment had failed, and the customer was charged after all. If the order is paid by "
        "it, inform the customer; if it was paid again meanwhile, refund it."
    ),
    ExceptionKind.CHARGE_AT_PROVIDER: _(
        "Somebody charged at the provider, and not through the shop. Find out who; refund it if it "
        "is not due."
    ),
    ExceptionKind.REFUND_STUCK: _(
        "We no longer ask for the outcome. Open the refund and choose “Retry now”; the customer is "
        "never refunded twice."
    ),
    ExceptionKind.REFUND_FAILED: _(
        "The customer has received nothing. Refund the payment again, or by other means."
    ),
    ExceptionKind.REFUND_AMOUNT_DIFFERS: _(
        "The provider refunded another amount, or in another currency, than was requested. If it "
        "was too little, refund the rest; if it was too much, settle it with the customer."
    ),
    ExceptionKind.REFUND_UNMATCHED: _(
        "A refund or dispute at the provider is of a charge that we don't know, or is more than "
        "was collected. “manage.py reconcile --repair” reads its charge from the provider; it is "
        "recorded as soon as that is known."
    ),
    ExceptionKind.REFUND_AT_PROVIDER: _(
        "Somebody refunded at the provider, or the customer won a dispute, but the order goes on. "
        "Cancel what is not to be shipped."
    ),
    ExceptionKind.DISPUTE: _(
        "The customer disputes the charge at the bank. Answer at the provider in time, and put the "
        "order on hold if it is not shipped."
    ),
    ExceptionKind.STOCK_LOST: _(
        "Stock that the order was promised is gone. It waits for new stock; cancel what will not "
        "come."
    ),
    ExceptionKind.DEAD_MAIL: _(
        "Correct the address, and send the e-mail again from its page; or reach the customer "
        "otherwise."
    ),
    ExceptionKind.DEAD_EVENT: _(
        "A part of the shop did not handle the event: a fault of ours more often than not. Retry "
        "it from “Failed events” once that is mended."
    ),
}
"""What each kind means and what to do, for people."""
