"""The permissions of staff: one for each thing that they do, and the roles that come with the shop.

Operations and named reads ask for them; nothing else decides. Which member of the staff has which
is in the database: see oms/users/granted.py and decision 26.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Self


class Permission(StrEnum):
    """A permission by its code, such as "orders.view", with a `label` for people."""

    label: str

    def __new__(cls, code: str, label: str) -> Self:
        member = str.__new__(cls, code)
        member._value_ = code
        member.label = label
        return member

    ORDERS_VIEW = "orders.view", "View orders"
    ORDERS_PLACE_FOR_CUSTOMER = "orders.place_for_customer", "Place orders for customers"
    ORDERS_EDIT = "orders.edit", "Edit and confirm orders"
    ORDERS_CANCEL = "orders.cancel", "Cancel and delete orders"
    ORDERS_HOLD = "orders.hold", "Put orders on hold and release them"
    ORDERS_SHIP = "orders.ship", "Process, ship and deliver orders"
    RETURNS_HANDLE = "returns.handle", "Handle returns"
    PAYMENTS_VIEW = "payments.view", "View payments and refunds"
    PAYMENTS_REFUND = "payments.refund", "Refund payments"
    PAYMENTS_RETRY = "payments.retry", "Retry, capture and void payments"
    STOCK_VIEW = "stock.view", "View stock"
    STOCK_ADJUST = "stock.adjust", "Adjust stock and manage locations"
    STOCK_RECEIVE = "stock.receive", "Receive stock"
    STOCK_TRANSFER = "stock.transfer", "Transfer stock"
    PRODUCTS_EDIT = "products.edit", "Edit products"
    PRODUCTS_PRICE = "products.price", "Set prices"
    CUSTOMERS_VIEW = "customers.view", "View accounts and e-mails, and resend e-mails"
    CUSTOMERS_EDIT = "customers.edit", "Edit customer accounts"
    REPORTS_VIEW = "reports.view", "View reports"
    AUDIT_VIEW = "audit.view", "View the event log, and retry failed events"
    WEBHOOKS_MANAGE = "webhooks.manage", "Manage webhooks"
    STAFF_MANAGE = "staff.manage", "Manage staff, roles and permissions"


NO_PERMISSIONS: frozenset[Permission] = frozenset()
ALL_PERMISSIONS = frozenset(Permission)


def _area(*areas: str) -> frozenset[Permission]:
    return frozenset(each for each in Permission if each.partition(".")[0] in areas)


ROLES: Mapping[str, frozenset[Permission]] = {
    "clerk": _area("orders", "returns")
    | {Permission.CUSTOMERS_VIEW, Permission.PAYMENTS_VIEW, Permission.STOCK_VIEW},
    "stock_keeper": _area("stock", "returns") | {Permission.PRODUCTS_EDIT, Permission.ORDERS_VIEW},
    "accountant": _area("payments", "reports", "audit")
    | {Permission.ORDERS_VIEW, Permission.CUSTOMERS_VIEW},
    "manager": ALL_PERMISSIONS - {Permission.STAFF_MANAGE},
}
"""The permissions of each role, as a migration makes them; a shop may change them afterwards."""


def permissions_of_codes(codes: Iterable[str]) -> frozenset[Permission]:
    """The permissions with these codes; unknown ones, of another release, are left out."""
    given = set(codes)
    return frozenset(each for each in Permission if each in given)
