"""Whether single orders came out sound: history, money and stock, by the contract alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from decimal import Decimal
from itertools import pairwise
from typing import Any

from oms.tests.faults.shop import Shop

_ALLOWED = {
    "pending": {"confirmed", "cancelled", "expired", "on_hold"},
    "confirmed": {"processing", "on_hold", "cancelled"},
    "processing": {"on_hold", "shipped", "cancelled"},
    "on_hold": {"pending", "confirmed", "processing", "cancelled"},
    "shipped": {"delivered"},
    "expired": {"confirmed"},
    "delivered": set(),
    "cancelled": set(),
}
_HOLD_STOCK = {"pending", "confirmed", "processing", "on_hold"}

_ORDERS = """
    SELECT id::text, status,
           (SELECT sum(quantity - quantity_shipped) FROM orders_orderitem WHERE order_id = o.id),
           (SELECT sum(quantity_shipped) FROM orders_orderitem WHERE order_id = o.id),
           (SELECT coalesce(sum(reserved_delta), 0) FROM inventory_stockmovement
            WHERE order_id = o.id),
           (SELECT coalesce(sum(on_hand_delta), 0) FROM inventory_stockmovement
            WHERE order_id = o.id)
    FROM orders_order AS o WHERE id = ANY(%s::uuid[])
"""
_STATUSES = "SELECT id::text, status FROM orders_order WHERE id = ANY(%s::uuid[])"
_HISTORY = """
    SELECT object_id::text, type, data->>'status' FROM events_event
    WHERE object_id = ANY(%s::uuid[]) ORDER BY transaction, position
"""
_PAYMENTS = """
    SELECT id::text, order_id::text, status, captured_amount, refunded_amount,
           (SELECT coalesce(sum(amount), 0) FROM payments_refund AS refund
            WHERE payment_id = payment.id AND status <> 'failed'),
           (SELECT count(*) FROM payments_refund
            WHERE payment_id = payment.id AND status NOT IN ('succeeded', 'failed'))
    FROM payments_payment AS payment WHERE order_id = ANY(%s::uuid[])
"""
# Facts that become true once in the life of what they are about.
_ONCE = {"order.paid", "payment.captured", "refund.succeeded"}


def unsound(shop: Shop, order_ids: Collection[str]) -> list[str]:
    """Everything wrong with these orders, once the background work is done."""
    ids = [list(order_ids)]
    payments = shop.rows(_PAYMENTS, ids)
    return [
        *_wrong_history(shop, ids, payments),
        *_wrong_stock(shop, ids),
        *_wrong_money(shop, ids, payments),
    ]


def _wrong_history(shop: Shop, ids: list[list[str]], payments: list[Any]) -> list[str]:
    statuses: dict[str, list[str]] = defaultdict(list)
    facts: Counter[tuple[str, str]] = Counter()
    about = [*ids[0], *(payment for payment, *_ in payments)]
    for object_id, type_, status in shop.rows(_HISTORY, [about]):
        if status:
            statuses[object_id].append(status)
        if type_ in _ONCE:
            facts[object_id, type_] += 1
    violations = [
        f"{object_id}: {number} times {type_}"
        for (object_id, type_), number in facts.items()
        if number > 1
    ]
    present = dict(shop.rows(_STATUSES, ids))
    for order, passed in statuses.items():
        legal = all(after in _ALLOWED[before] for before, after in pairwise(passed))
        if not legal or passed[-1] != present.get(order):
            violations.append(f"order {order} is {present.get(order)} after {passed}")
    return violations


def _wrong_stock(shop: Shop, ids: list[list[str]]) -> list[str]:
    violations = []
    for order, status, left, shipped, reserved, moved in shop.rows(_ORDERS, ids):
        right = left if status in _HOLD_STOCK else 0
        if reserved != right or moved != -shipped:
            violations.append(
                f"order {order} is {status}: {reserved} reserved, {-moved} left the stock;"
                f" right are {right} and {shipped}"
            )
    return violations


def _wrong_money(shop: Shop, ids: list[list[str]], payments: list[Any]) -> list[str]:
    charged: dict[str, tuple[str, int, int]] = {
        key: (status, captured, refunded)
        for key, status, captured, refunded in shop.ledger(
            "SELECT idempotency_key, status, captured_amount, refunded_amount FROM charges"
        )
    }
    status_of = dict(shop.rows(_STATUSES, ids))
    captures = Counter(order for _, order, status, *_ in payments if status == "captured")
    violations = [
        f"order {order} was paid {number} times" for order, number in captures.items() if number > 1
    ]
    for payment, order, status, captured, refunded, refunds, open_ in payments:
        if refunded != refunds or refunded > captured:
            violations.append(f"payment {payment}: {refunded} refunded, its refunds are {refunds}")
        if status in ("created", "processing", "unknown") or open_:
            violations.append(f"payment {payment} is still {status}, {open_} refunds are open")
        if status_of.get(order) in ("cancelled", "expired") and captured != refunded:
            violations.append(f"order {order} is {status_of[order]}, {captured - refunded} kept")
        _, there, back = charged.get(payment, ("", 0, 0))
        if (Decimal(there) / 100, Decimal(back) / 100) != (captured, refunded):
            violations.append(
                f"payment {payment}: {captured} captured and {refunded} refunded, the provider"
                f" has {there} and {back} minor units"
            )
    return violations
