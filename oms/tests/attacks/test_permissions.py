"""Every call asks staff for its permissions, by both fronts, and for nothing else.

What each call needs is in `EXPECTED`; the back office has test_back_office_permissions.py.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
from django.urls import reverse

from oms.core.permissions import ROLES, Permission
from oms.events.types import event_types
from oms.streams.facts import types_for_staff
from oms.testing.factories import permission_rows
from oms.testing.ordering import payment_of
from oms.tests.attacks.access import EXPECTED, Access
from oms.tests.attacks.shop import Shop, database_digest, undone
from oms.tests.attacks.test_authorization import assert_problem, at_their_fronts
from orders.models import Order

pytestmark = pytest.mark.django_db

ASKING = [
    operation
    for operation in sorted(EXPECTED, key=lambda operation: operation[::-1])
    if EXPECTED[operation].permissions
]


def clerk_with(shop: Shop, permissions: Collection[str]) -> Any:
    """A client of the clerk, who has these permissions now."""
    shop.clerk.user_permissions.set(permission_rows(permissions))
    return shop.client("clerk")


def assert_denied(answer: Any, permission: Permission) -> None:
    assert_problem(answer, 403)
    assert answer.json()["code"] == "permission_denied"
    assert answer.json()["permission"] == permission


def test_every_call_for_staff_states_its_permissions() -> None:
    for operation, expected in EXPECTED.items():
        if expected.access in (Access.STAFF, Access.OWNER_OR_STAFF):
            assert expected.permissions, operation


@at_their_fronts(ASKING)
def test_staff_with_all_permissions_but_one_are_refused_for_it(
    both_fronts: str, operation: tuple[str, str], shop: Shop
) -> None:
    method, route = operation
    expected = EXPECTED[operation]
    request = expected.request(shop)
    for missing in expected.permissions:
        client = clerk_with(shop, set(Permission) - {missing})
        before = database_digest()

        assert_denied(request.send(client, method, route), missing)
        assert database_digest() == before


@at_their_fronts(ASKING)
def test_staff_with_only_the_permissions_of_a_call_may_make_it(
    both_fronts: str, operation: tuple[str, str], shop: Shop
) -> None:
    method, route = operation
    expected = EXPECTED[operation]
    client = clerk_with(shop, expected.permissions)

    with undone():
        answer = expected.request(shop).send(client, method, route)

    assert answer.status_code == expected.status, answer.content


@at_their_fronts(ASKING)
def test_staff_without_permissions_are_refused_for_the_first_that_is_asked(
    both_fronts: str, operation: tuple[str, str], shop: Shop
) -> None:
    method, route = operation
    expected = EXPECTED[operation]
    client = clerk_with(shop, ())
    before = database_digest()

    answer = expected.request(shop).send(client, method, route)

    assert_denied(answer, expected.permissions[0])
    assert database_digest() == before


@pytest.mark.usefixtures("both_fronts")
def test_staff_who_may_not_see_the_stock_see_products_as_customers_do(shop: Shop) -> None:
    client = clerk_with(shop, set(Permission) - {Permission.STOCK_VIEW, Permission.PRODUCTS_EDIT})
    shown = reverse("product-detail", kwargs={"id": shop.product.id})
    hidden = reverse("product-detail", kwargs={"id": shop.hidden.id})
    stock = reverse("product-inventory", kwargs={"id": shop.product.id})
    owner = shop.client("owner")

    assert client.get(hidden).status_code == 404
    for path in (shown, stock, reverse("product-list")):
        assert client.get(path).json() == owner.get(path).json()

    for permission in (Permission.STOCK_VIEW, Permission.PRODUCTS_EDIT):
        client = clerk_with(shop, {permission})
        assert client.get(hidden).status_code == 200
        assert "low_stock_threshold" in client.get(shown).json()
        sees_stock = permission is Permission.STOCK_VIEW
        assert ("on_hand" in client.get(stock).json()) is sees_stock


def test_a_clerk_cancels_an_unpaid_order_and_no_paid_one(shop: Shop) -> None:
    client = clerk_with(shop, ROLES["clerk"])
    cancel = reverse("order-cancel", kwargs={"id": shop.paid.id})
    before = database_digest()

    assert_denied(client.put(cancel, {}), Permission.PAYMENTS_REFUND)
    status = reverse("admin-order-status", kwargs={"id": shop.paid.id})
    assert_denied(client.put(status, {"status": "cancelled"}), Permission.PAYMENTS_REFUND)
    refund = reverse("admin-payment-refunds", kwargs={"id": payment_of(shop.paid).id})
    assert_denied(client.post(refund, {"reason": "x"}), Permission.PAYMENTS_REFUND)
    shown = reverse("order", kwargs={"id": shop.paid.id})
    assert not {"cancel", "refund", "set_status:cancelled"} & set(
        client.get(shown).json()["allowed_actions"]
    )
    assert database_digest() == before

    unpaid = reverse("order-cancel", kwargs={"id": shop.order.id})
    assert client.put(unpaid, {}).status_code == 200
    # Its own money a customer gets without any permission, and so does one who may refund.
    with undone():
        assert shop.client("owner").put(cancel, {}).json()["status"] == "cancelled"
    client = clerk_with(shop, ROLES["clerk"] | {Permission.PAYMENTS_REFUND})
    assert client.put(cancel, {}).json()["status"] == "cancelled"
    assert Order.objects.get(pk=shop.paid.id).status == "cancelled"


def test_the_money_decides_and_not_the_orders_own_payment_status(shop: Shop) -> None:
    Order.objects.filter(pk=shop.paid.pk).update(payment_status="processing")
    client = clerk_with(shop, ROLES["clerk"])

    answer = client.put(reverse("order-cancel", kwargs={"id": shop.paid.id}), {})

    assert_denied(answer, Permission.PAYMENTS_REFUND)


def test_a_stock_keeper_edits_products_but_not_their_prices(shop: Shop) -> None:
    client = clerk_with(shop, ROLES["stock_keeper"])
    product = reverse("product-detail", kwargs={"id": shop.product.id})

    assert client.patch(product, {"name": "Renamed"}).status_code == 200
    same = client.get(product).json()
    unchanged = {"price": same["price"], "currency": same["currency"], "name": "Again"}
    assert client.patch(product, unchanged).status_code == 200
    assert_denied(client.patch(product, {"price": "0.01"}), Permission.PRODUCTS_PRICE)
    assert_denied(client.patch(product, {"currency": "USD"}), Permission.PRODUCTS_PRICE)


def test_initial_stock_needs_the_permission_to_receive(shop: Shop) -> None:
    new = {"sku": "NEW-1", "name": "New", "price": "9.90", "initial_stock": 5}
    permissions = {Permission.PRODUCTS_EDIT, Permission.PRODUCTS_PRICE}
    path = reverse("product-list")

    assert_denied(clerk_with(shop, permissions).post(path, new), Permission.STOCK_RECEIVE)
    client = clerk_with(shop, permissions | {Permission.STOCK_RECEIVE})
    assert client.post(path, new).status_code == 201


def test_payments_are_shown_with_orders_to_those_who_may_view_payments(shop: Shop) -> None:
    client = clerk_with(shop, {Permission.ORDERS_VIEW})
    path = reverse("order", kwargs={"id": shop.paid.id})

    assert_denied(client.get(path, {"expand": "payments"}), Permission.PAYMENTS_VIEW)
    assert client.get(path, {"expand": "shipments,history"}).status_code == 200


@pytest.mark.parametrize(
    ("permissions", "kinds"),
    [
        ((Permission.ORDERS_VIEW,), {"order", "return"}),
        (
            (Permission.ORDERS_VIEW, Permission.PAYMENTS_VIEW),
            {"order", "return", "payment", "refund"},
        ),
        (
            (Permission.ORDERS_VIEW, Permission.STOCK_VIEW),
            {"order", "return", "product", "location", "stock_document"},
        ),
    ],
)
def test_the_feed_has_what_staff_may_view(
    permissions: tuple[Permission, ...], kinds: set[str]
) -> None:
    types = types_for_staff(frozenset(permissions))

    assert {event_types()[type_].object_type for type_ in types} == kinds


def test_releasing_a_hold_needs_the_permission_to_hold(shop: Shop) -> None:
    path = reverse("admin-order-status", kwargs={"id": shop.paid.id})
    view = Permission.ORDERS_VIEW
    client = clerk_with(shop, {view, Permission.ORDERS_HOLD})

    assert client.put(path, {"status": "on_hold"}).status_code == 200
    for status in ("confirmed", "processing"):
        others = set(Permission) - {Permission.ORDERS_HOLD}
        denied = clerk_with(shop, others).put(path, {"status": status})
        assert_denied(denied, Permission.ORDERS_HOLD)
    client = clerk_with(shop, {view, Permission.ORDERS_HOLD})
    assert client.put(path, {"status": "processing"}).status_code == 200
