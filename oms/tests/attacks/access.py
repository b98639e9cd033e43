"""Who may call which operation: the contract, as a table that a new route must be added to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus

from oms.testing.factories import PASSWORD
from oms.testing.ordering import ADDRESS
from oms.tests.attacks.shop import INVALID, Make, Request, Shop, signed_webhook


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


def _of_product(**body: object) -> Make:
    return lambda shop: Request(kwargs={"id": shop.product.id}, body=body or None)


def _of_owner(**body: object) -> Make:
    return lambda shop: Request(kwargs={"id": shop.owner.id}, body=body or None)


_PRODUCT = {"sku": "NEW-1", "name": "New", "price": "9.90"}
_PAYMENT = {"provider": "sandbox", "token": "tok_success"}
_PROFILE = {"full_name": "Somebody Else", "phone": ""}
_page = Expected(access=Access.PAGE, request=_plain)
_public_page = Expected(access=Access.PUBLIC, request=_plain)
_own, _staff = Access.OWNER_OR_STAFF, Access.STAFF

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
    ("GET", "user-detail"): Expected(access=_own, request=_of_owner()),
    ("PUT", "user-detail"): Expected(access=_own, request=_of_owner(**_PROFILE)),
    ("PATCH", "user-detail"): Expected(access=_own, request=_of_owner(**_PROFILE)),
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
    # --- Products and stock
    ("GET", "product-list"): Expected(access=Access.PUBLIC, request=_plain),
    ("GET", "product-detail"): Expected(access=Access.PUBLIC, request=_of_product()),
    ("GET", "product-inventory"): Expected(access=Access.PUBLIC, request=_of_product()),
    ("POST", "product-list"): Expected(
        access=_staff, request=lambda shop: Request(body=_PRODUCT), status=201
    ),
    ("PUT", "product-detail"): Expected(access=_staff, request=_of_product(**_PRODUCT)),
    ("PATCH", "product-detail"): Expected(access=_staff, request=_of_product(price="0.01")),
    ("POST", "stock-adjustments"): Expected(
        access=_staff,
        request=lambda shop: Request(
            body={"product_id": str(shop.product.id), "reason": "received", "delta": 5}
        ),
        status=201,
    ),
    ("GET", "stock-movements"): Expected(access=_staff, request=_plain),
    ("GET", "low-stock"): Expected(access=_staff, request=_plain),
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
    ("GET", "order"): Expected(access=_own, request=_of_order()),
    ("PATCH", "order"): Expected(access=_own, request=_of_order(note="Ring twice.")),
    ("DELETE", "order"): Expected(access=_own, request=_of_order(), status=204),
    ("GET", "order-status"): Expected(access=_own, request=_of_order()),
    ("PUT", "order-status"): Expected(access=_staff, request=_of_paid(status="processing")),
    ("PUT", "order-cancel"): Expected(access=_own, request=_of_order(reason="Too late.")),
    ("GET", "order-payments"): Expected(access=_own, request=_of_order()),
    ("POST", "order-payments"): Expected(access=_own, request=_of_order(**_PAYMENT), status=202),
    ("GET", "admin-orders"): Expected(access=_staff, request=_plain),
    ("PUT", "admin-order-status"): Expected(access=_staff, request=_of_paid(status="processing")),
    ("POST", "admin-order-shipments"): Expected(
        access=_staff, request=_of_paid(carrier="DHL", tracking_number="0034"), status=201
    ),
    # --- Payments
    ("GET", "admin-payments"): Expected(access=_staff, request=_plain),
    ("GET", "admin-payment"): Expected(access=_staff, request=_of_payment()),
    ("GET", "admin-payment-refunds"): Expected(access=_staff, request=_of_payment()),
    ("POST", "admin-payment-refunds"): Expected(
        access=_staff, request=_of_payment(amount="1.00", reason="Broken."), status=202
    ),
    ("POST", "payment-webhook"): Expected(
        access=Access.CREDENTIALS, request=signed_webhook, status=204
    ),
    # --- Notifications, reports, audit
    ("GET", "notifications"): Expected(access=Access.SIGNED_IN, request=_plain),
    ("PUT", "notification-read"): Expected(
        access=Access.OWNER, request=lambda shop: Request(kwargs={"id": shop.notification.id})
    ),
    ("GET", "daily-report"): Expected(access=_staff, request=_plain),
    ("GET", "audit"): Expected(access=_staff, request=_plain),
    ("GET", "events"): Expected(access=Access.SIGNED_IN, request=_plain),
    ("GET", "admin-events"): Expected(access=_staff, request=_plain),
    ("GET", "stream"): Expected(
        access=Access.SIGNED_IN, request=lambda shop: Request(query="?topics=orders")
    ),
    ("POST", "stream-tickets"): Expected(access=Access.SIGNED_IN, request=_plain, status=201),
}
