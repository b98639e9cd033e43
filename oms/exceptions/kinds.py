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
    LATE_PAYMENT = "late_payment", _("money of an order that has ended")
    REFUND_STUCK = "refund_stuck", _("refund given up")
    REFUND_FAILED = "refund_failed", _("refund failed")
    REFUND_AT_PROVIDER = "refund_at_provider", _("refund made at the provider")
    DISPUTE = "dispute", _("dispute")
    STOCK_LOST = "stock_lost", _("order lost its stock")
    DEAD_MAIL = "dead_mail", _("e-mail given up")
    DEAD_EVENT = "dead_event", _("event given up")


@dataclass(frozen=True, kw_only=True)
class KindRules:
    """Who may see exceptions of a kind, and the names of the operations that mend it.

    The operations are those of an order's `allowed_actions`, and `retry_payment`, `retry_refund`,
    `retry_mail` and `retry_event` of the back office: docs/exceptions.md.
    """

    permission: Permission
    operations: tuple[str, ...]


_MONEY = Permission.PAYMENTS_VIEW

KIND_RULES: Mapping[str, KindRules] = {
    ExceptionKind.PAYMENT_UNKNOWN: KindRules(permission=_MONEY, operations=("retry_payment",)),
    ExceptionKind.PAYMENT_STUCK: KindRules(permission=_MONEY, operations=("retry_payment",)),
    ExceptionKind.CAPTURE_REJECTED: KindRules(
        permission=_MONEY, operations=("capture_payment", "void_payment", "pay", "cancel")
    ),
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
    ExceptionKind.LATE_PAYMENT: KindRules(permission=_MONEY, operations=("refund",)),
    ExceptionKind.REFUND_STUCK: KindRules(permission=_MONEY, operations=("retry_refund",)),
    ExceptionKind.REFUND_FAILED: KindRules(permission=_MONEY, operations=("refund",)),
    ExceptionKind.REFUND_AT_PROVIDER: KindRules(permission=_MONEY, operations=("cancel", "refund")),
    ExceptionKind.DISPUTE: KindRules(permission=_MONEY, operations=("set_status:on_hold",)),
    ExceptionKind.STOCK_LOST: KindRules(
        permission=Permission.ORDERS_VIEW, operations=("cancel_items", "cancel")
    ),
    ExceptionKind.DEAD_MAIL: KindRules(
        permission=Permission.CUSTOMERS_VIEW, operations=("retry_mail",)
    ),
    ExceptionKind.DEAD_EVENT: KindRules(
        permission=Permission.AUDIT_VIEW, operations=("retry_event",)
    ),
}


def kinds_visible_with(held: Collection[Permission]) -> list[str]:
    """The kinds that staff with these permissions may see."""
    return [kind for kind, rules in KIND_RULES.items() if rules.permission in held]


def rules_of(kind: Any) -> KindRules:
    """The rules of a kind; of one that a later release has added, those of the audit trail."""
    unknown = KindRules(permission=Permission.AUDIT_VIEW, operations=())
    return KIND_RULES.get(kind, unknown)
