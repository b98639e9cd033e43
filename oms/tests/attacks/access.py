"""Who may call which operation: the contract, as a table that a new route must be added to.

Of staff also with which permissions: on what is not their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus

from oms.core.permissions import Permission
from oms.testing.factories import PASSWORD
from oms.testing.ordering import ADDRESS
from oms.tests.attacks.shop import INVALID, Make, Request, Shop, signed_webhook
from orders.models import Order


class Access(Enum):
    """Who may call an operation."""

    PAGE = "All, and credentials are not looked at."
    CREDENTIALS = "All: what counts is in the body."
    THIS_MACHINE = "All, from this machine."
    PUBLIC = "All but those with invalid credentials."
    SIGNED_IN = "All who are signed in."
    OWNER_OR_STAFF = "The owner and staff; others are answered as if there was nothing."
    OWNER = "The owner alone; all others are answered as if there was nothing."
    STAFF = "Staff."


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The access to an operation, and a request that is answered `status` where it is allowed."""

    access: Access
    request: Make
    status: int = HTTPStatus.OK
    permissions: tuple[Permission, ...] = ()
    """What staff need for it besides, in the order in which they are asked for."""

    def status_for(self, caller: str) -> int:
        """The status that the contract gives the caller."""
        blind = (Access.PAGE, Access.CREDENTIALS, Access.THIS_MACHINE)
        if self.access in blind or (self.access is Access.PUBLIC and caller not in INVALID):
            return self.status
        if caller in INVALID or caller == "anonymous":
            return HTTPStatus.UNAUTHORIZED
        is_staff = caller in ("clerk", "boss")
        if self.access is Access.STAFF:
            return self.status if is_staff else HTTPStatus.FORBIDDEN
        if self.access is Access.OWNER:
            return self.status if caller == "owner" else HTTPStatus.NOT_FOUND
        if self.access is Access.OWNER_OR_STAFF:
            return self.status if is_staff or caller == "owner" else HTTPStatus.NOT_FOUND
        return self.status


def _plain(shop: Shop) -> Request:
    return Request()


def _order(shop: Shop) -> dict[str, object]:
    items = [{"product_id": str(shop.product.id), "quantity": 1}]
    return {"items": items, "shipping_address": ADDRESS}


def _of_order(**body: object) -> Make:
    return lambda shop: Request(kwargs={"id": shop.order.id}, body=body or None)


def _of_paid(**body: object) -> Make:
    return lambda shop: Request(kwargs={"id": shop.paid.id}, body=body)


def _of_payment(**body: object) -> Make:
    return lambda shop: Request(kwargs={"id": shop.payment.id}, body=body or None)


def _items(order: Order, **values: object) -> list[dict[str, object]]:
    """One unit of the order's item, with these values."""
    [item] = order.items.all()
    return [{"order_item_id": str(item.id), "quantity": 1, **values}]


def _of_shipment(**body: object) -> Make:
    return lambda shop: Request(kwargs={"id": shop.shipment.id}, body=body or None)


def _of_return(**body: object) -> Make:
    return lambda shop: Request(kwargs={"id": shop.order_return.id}, body=body or None)


def _received(shop: Shop) -> Request:
    items = _items(shop.shipped, outcome="restock")
    return Request(kwargs={"id": shop.order_return.id}, body={"items": items})


def _of_product(**body: object) -> Make:
    return lambda shop: Request(kwargs={"id": shop.product.id}, body=body or None)


def _document(**values: object) -> Make:
    """A receipt, transfer or count of the product; `values` are of its item, and its own."""
    item = {name: value for name, value in values.items() if isinstance(value, int)}
    own = {name: value for name, value in values.items() if name not in item}

    def make(shop: Shop) -> Request:
        items = [{"product_id": str(shop.product.id), **item}]
        return Request(body={"reference": "NEW-1", "items": items, **own})

    return make


def _of_owner(**body: object) -> Make:
    return lambda shop: Request(kwargs={"id": shop.owner.id}, body=body or None)


def _of_member(**body: object) -> Make:
    return lambda shop: Request(kwargs={"id": shop.member.id}, body=body or None)


_PRODUCT = {"sku": "NEW-1", "name": "New", "price": "9.90"}
_PAYMENT = {"provider": "sandbox", "token": "tok_success"}
_PROFILE = {"full_name": "Somebody Else", "phone": ""}
_page = Expected(access=Access.PAGE, request=_plain)
_public_page = Expected(access=Access.PUBLIC, request=_plain)
_own, _staff = Access.OWNER_OR_STAFF, Access.STAFF
P = Permission
_view_customers = (P.CUSTOMERS_VIEW,)
_edit_customers = (P.CUSTOMERS_VIEW, P.CUSTOMERS_EDIT)
_set_prices = (P.PRODUCTS_EDIT, P.PRODUCTS_PRICE)
_ship = (P.ORDERS_VIEW, P.ORDERS_SHIP)
_handle_returns = (P.ORDERS_VIEW, P.RETURNS_HANDLE)
_pay = (P.ORDERS_VIEW, P.PAYMENTS_VIEW, P.PAYMENTS_RETRY)

EXPECTED: Mapping[tuple[str, str], Expected] = {
    ("GET", "home"): _page,
    ("GET", "live"): _page,
    ("GET", "health"): _page,
    ("GET", "ready"): _page,
    ("GET", "schema"): _public_page,
    ("GET", "docs"): _public_page,
    ("GET", "redoc"): _public_page,
    ("GET", "problem-types"): _page,
    ("GET", "metrics"): Expected(access=Access.THIS_MACHINE, request=_plain),
    # --- Users and tokens
    ("POST", "user-list"): Expected(
        access=Access.PUBLIC,
        request=lambda shop: Request(
            body={"email": "new@example.com", "password": PASSWORD, "full_name": "New"}
        ),
        status=201,
    ),
    ("GET", "user-detail"): Expected(access=_own, request=_of_owner(), permissions=_view_customers),
    ("PUT", "user-detail"): Expected(
        access=_own, request=_of_owner(**_PROFILE), permissions=_edit_customers
    ),
    ("PATCH", "user-detail"): Expected(
        access=_own, request=_of_owner(**_PROFILE), permissions=_edit_customers
    ),
    ("GET", "user-me"): Expected(access=Access.SIGNED_IN, request=_plain),
    ("PUT", "user-me"): Expected(
        access=Access.SIGNED_IN, request=lambda shop: Request(body=_PROFILE)
    ),
    ("PATCH", "user-me"): Expected(
        access=Access.SIGNED_IN, request=lambda shop: Request(body=_PROFILE)
    ),
    ("POST", "token"): Expected(
        access=Access.CREDENTIALS,
        request=lambda shop: Request(body={"email": shop.owner.email, "password": PASSWORD}),
    ),
    ("POST", "token-refresh"): Expected(
        access=Access.CREDENTIALS,
        request=lambda shop: Request(body={"refresh": shop.pair.refresh}),
    ),
    ("POST", "token-revoke"): Expected(
        access=Access.CREDENTIALS,
        request=lambda shop: Request(body={"refresh": shop.pair.refresh}),
        status=204,
    ),
    # --- Staff
    ("GET", "admin-staff"): Expected(access=_staff, request=_plain, permissions=(P.STAFF_MANAGE,)),
    ("POST", "admin-staff"): Expected(
        access=_staff,
        request=lambda shop: Request(body={"email": "new@example.com", "full_name": "New"}),
        status=201,
        permissions=(P.STAFF_MANAGE,),
    ),
    ("GET", "admin-staff-member"): Expected(
        access=_staff, request=_of_member(), permissions=(P.STAFF_MANAGE,)
    ),
    ("PATCH", "admin-staff-member"): Expected(
        access=_staff, request=_of_member(full_name="Renamed"), permissions=(P.STAFF_MANAGE,)
    ),
    ("GET", "admin-customers"): Expected(
        access=_staff, request=_plain, permissions=_view_customers
    ),
    ("GET", "admin-customer"): Expected(
        access=_staff, request=_of_owner(), permissions=_view_customers
    ),
    # --- Products and stock
    ("GET", "product-list"): Expected(access=Access.PUBLIC, request=_plain),
    ("GET", "product-detail"): Expected(access=Access.PUBLIC, request=_of_product()),
    ("GET", "product-inventory"): Expected(access=Access.PUBLIC, request=_of_product()),
    ("POST", "product-list"): Expected(
        access=_staff,
        request=lambda shop: Request(body=_PRODUCT),
        status=201,
        permissions=_set_prices,
    ),
    ("PUT", "product-detail"): Expected(
        access=_staff, request=_of_product(**_PRODUCT), permissions=_set_prices
    ),
    ("PATCH", "product-detail"): Expected(
        access=_staff, request=_of_product(price="0.01"), permissions=_set_prices
    ),
    ("POST", "stock-adjustments"): Expected(
        access=_staff,
        request=lambda shop: Request(
            body={"product_id": str(shop.product.id), "reason": "received", "delta": 5}
        ),
        status=201,
        permissions=(P.STOCK_VIEW, P.STOCK_ADJUST),
    ),
    ("GET", "stock-movements"): Expected(
        access=_staff, request=_plain, permissions=(P.STOCK_VIEW,)
    ),
    ("GET", "low-stock"): Expected(access=_staff, request=_plain, permissions=(P.STOCK_VIEW,)),
    ("GET", "product-availability"): Expected(
        access=_staff, request=_of_product(), permissions=(P.STOCK_VIEW,)
    ),
    ("POST", "product-stock-alerts"): Expected(
        access=Access.SIGNED_IN,
        request=lambda shop: Request(kwargs={"id": shop.sold_out.id}),
        status=201,
    ),
    ("DELETE", "product-stock-alerts"): Expected(
        access=Access.SIGNED_IN,
        request=lambda shop: Request(kwargs={"id": shop.awaited.id}),
        status=204,
    ),
    ("GET", "stock-receipts"): Expected(access=_staff, request=_plain, permissions=(P.STOCK_VIEW,)),
    ("POST", "stock-receipts"): Expected(
        access=_staff,
        request=_document(quantity=5),
        status=201,
        permissions=(P.STOCK_VIEW, P.STOCK_RECEIVE),
    ),
    ("GET", "stock-receipt"): Expected(
        access=_staff,
        request=lambda shop: Request(kwargs={"id": shop.receipt.id}),
        permissions=(P.STOCK_VIEW,),
    ),
    ("GET", "stock-transfers"): Expected(
        access=_staff, request=_plain, permissions=(P.STOCK_VIEW,)
    ),
    ("POST", "stock-transfers"): Expected(
        access=_staff,
        request=_document(quantity=1, **{"from": "main", "to": "store"}),
        status=201,
        permissions=(P.STOCK_VIEW, P.STOCK_TRANSFER),
    ),
    ("GET", "stock-transfer"): Expected(
        access=_staff,
        request=lambda shop: Request(kwargs={"id": shop.transfer.id}),
        permissions=(P.STOCK_VIEW,),
    ),
    ("GET", "stock-counts"): Expected(access=_staff, request=_plain, permissions=(P.STOCK_VIEW,)),
    ("POST", "stock-counts"): Expected(
        access=_staff,
        request=_document(counted=7),
        status=201,
        permissions=(P.STOCK_VIEW, P.STOCK_ADJUST),
    ),
    ("GET", "stock-count"): Expected(
        access=_staff,
        request=lambda shop: Request(kwargs={"id": shop.count.id}),
        permissions=(P.STOCK_VIEW,),
    ),
    # --- Orders
    ("GET", "orders"): Expected(access=Access.SIGNED_IN, request=_plain),
    ("POST", "orders"): Expected(
        access=Access.SIGNED_IN, request=lambda shop: Request(body=_order(shop)), status=201
    ),
    ("POST", "orders-bulk"): Expected(
        access=Access.SIGNED_IN,
        request=lambda shop: Request(body={"orders": [_order(shop)], "on_error": "continue"}),
        status=207,
    ),
    ("GET", "order"): Expected(access=_own, request=_of_order(), permissions=(P.ORDERS_VIEW,)),
    ("PATCH", "order"): Expected(
        access=_own,
        request=_of_order(note="Ring twice."),
        permissions=(P.ORDERS_VIEW, P.ORDERS_EDIT),
    ),
    ("DELETE", "order"): Expected(
        access=_own, request=_of_order(), status=204, permissions=(P.ORDERS_VIEW, P.ORDERS_CANCEL)
    ),
    ("GET", "order-status"): Expected(
        access=_own, request=_of_order(), permissions=(P.ORDERS_VIEW,)
    ),
    ("PUT", "order-status"): Expected(
        access=_staff,
        request=_of_paid(status="processing"),
        permissions=(P.ORDERS_VIEW, P.ORDERS_SHIP),
    ),
    ("PUT", "order-cancel"): Expected(
        access=_own,
        request=_of_order(reason="Too late."),
        permissions=(P.ORDERS_VIEW, P.ORDERS_CANCEL),
    ),
    ("GET", "order-payments"): Expected(
        access=_own, request=_of_order(), permissions=(P.ORDERS_VIEW, P.PAYMENTS_VIEW)
    ),
    ("POST", "order-payments"): Expected(
        access=_own, request=_of_order(**_PAYMENT), status=202, permissions=_pay
    ),
    ("GET", "admin-orders"): Expected(access=_staff, request=_plain, permissions=(P.ORDERS_VIEW,)),
    ("PUT", "admin-order-status"): Expected(
        access=_staff,
        request=_of_paid(status="processing"),
        permissions=(P.ORDERS_VIEW, P.ORDERS_SHIP),
    ),
    ("POST", "admin-order-shipments"): Expected(
        access=_staff,
        request=_of_paid(carrier="DHL", tracking_number="0034"),
        status=201,
        permissions=(P.ORDERS_VIEW, P.ORDERS_SHIP),
    ),
    ("GET", "admin-order-cancellations"): Expected(
        access=_staff, request=_of_order(), permissions=(P.ORDERS_VIEW,)
    ),
    ("POST", "admin-order-cancellations"): Expected(
        access=_staff,
        request=lambda shop: Request(
            kwargs={"id": shop.order.id}, body={"items": _items(shop.order)}
        ),
        status=201,
        permissions=(P.ORDERS_VIEW, P.ORDERS_CANCEL),
    ),
    ("GET", "order-shipments"): Expected(
        access=_own, request=_of_order(), permissions=(P.ORDERS_VIEW,)
    ),
    ("PATCH", "admin-shipment"): Expected(
        access=_staff, request=_of_shipment(tracking_number="0035"), permissions=_ship
    ),
    ("POST", "admin-shipment-delivered"): Expected(
        access=_staff, request=_of_shipment(), permissions=_ship
    ),
    ("POST", "admin-shipments-bulk"): Expected(
        access=_staff,
        request=lambda shop: Request(body={"shipments": [{"order_number": shop.paid.number}]}),
        status=207,
        permissions=_ship,
    ),
    # --- Returns
    ("GET", "order-returns"): Expected(
        access=_own, request=_of_order(), permissions=_handle_returns
    ),
    ("POST", "order-returns"): Expected(
        access=_own,
        request=lambda shop: Request(
            kwargs={"id": shop.shipped.id}, body={"items": _items(shop.shipped)}
        ),
        status=201,
        permissions=_handle_returns,
    ),
    ("GET", "return"): Expected(access=_own, request=_of_return(), permissions=_handle_returns),
    ("PUT", "return-cancel"): Expected(
        access=_own, request=_of_return(reason="Kept."), permissions=_handle_returns
    ),
    ("GET", "admin-returns"): Expected(access=_staff, request=_plain, permissions=_handle_returns),
    ("GET", "admin-return"): Expected(
        access=_staff, request=_of_return(), permissions=_handle_returns
    ),
    ("POST", "admin-order-returns"): Expected(
        access=_staff,
        request=lambda shop: Request(
            kwargs={"id": shop.shipped.id},
            body={"items": _items(shop.shipped, outcome="unusable")},
        ),
        status=201,
        permissions=_handle_returns,
    ),
    ("POST", "admin-return-approve"): Expected(
        access=_staff, request=_of_return(), permissions=_handle_returns
    ),
    ("POST", "admin-return-reject"): Expected(
        access=_staff, request=_of_return(reason="Worn."), permissions=_handle_returns
    ),
    ("POST", "admin-return-receive"): Expected(
        access=_staff, request=_received, permissions=_handle_returns
    ),
    # --- Payments
    ("GET", "admin-payments"): Expected(
        access=_staff, request=_plain, permissions=(P.PAYMENTS_VIEW,)
    ),
    ("GET", "admin-payment"): Expected(
        access=_staff, request=_of_payment(), permissions=(P.PAYMENTS_VIEW,)
    ),
    ("GET", "admin-payment-refunds"): Expected(
        access=_staff, request=_of_payment(), permissions=(P.PAYMENTS_VIEW,)
    ),
    ("POST", "admin-payment-refunds"): Expected(
        access=_staff,
        request=_of_payment(amount="1.00", reason="Broken."),
        status=202,
        permissions=(P.PAYMENTS_VIEW, P.PAYMENTS_REFUND),
    ),
    # --- Exceptions
    ("GET", "admin-exceptions"): Expected(
        access=_staff, request=_plain, permissions=(P.ORDERS_VIEW,)
    ),
    ("POST", "admin-exception-resolve"): Expected(
        access=_staff,
        request=lambda shop: Request(
            kwargs={"id": shop.exception.id}, body={"note": "Agreed by phone."}
        ),
        permissions=(P.ORDERS_VIEW, P.PAYMENTS_VIEW),
    ),
    ("POST", "payment-webhook"): Expected(
        access=Access.CREDENTIALS, request=signed_webhook, status=204
    ),
    # --- Notifications, reports, audit
    ("GET", "notifications"): Expected(access=Access.SIGNED_IN, request=_plain),
    ("PUT", "notification-read"): Expected(
        access=Access.OWNER, request=lambda shop: Request(kwargs={"id": shop.notification.id})
    ),
    ("GET", "daily-report"): Expected(access=_staff, request=_plain, permissions=(P.REPORTS_VIEW,)),
    ("GET", "audit"): Expected(access=_staff, request=_plain, permissions=(P.AUDIT_VIEW,)),
    ("GET", "events"): Expected(access=Access.SIGNED_IN, request=_plain),
    ("GET", "admin-events"): Expected(access=_staff, request=_plain, permissions=(P.ORDERS_VIEW,)),
    ("GET", "stream"): Expected(
        access=Access.SIGNED_IN,
        request=lambda shop: Request(query="?topics=orders"),
        permissions=(P.ORDERS_VIEW,),
    ),
    ("POST", "stream-tickets"): Expected(access=Access.SIGNED_IN, request=_plain, status=201),
}
