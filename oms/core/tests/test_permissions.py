"""Permissions, roles, and what actors may with them."""

from __future__ import annotations

import pytest

from oms.core.actor import Actor, account, anonymous, system
from oms.core.errors import NotFound, PermissionDenied
from oms.core.ids import new_id
from oms.core.permissions import ROLES, Permission, permissions_of_codes


def member(*permissions: Permission, is_superuser: bool = False) -> Actor:
    return account(
        id=new_id(),
        email="sam@example.com",
        is_staff=True,
        is_superuser=is_superuser,
        permissions=frozenset(permissions),
    )


def customer() -> Actor:
    return account(
        id=new_id(),
        email="carla@example.com",
        is_staff=False,
        is_superuser=True,  # without effect for customers
        permissions=frozenset(Permission),
    )


def test_staff_may_what_they_were_granted_alone() -> None:
    sam = member(Permission.ORDERS_VIEW)

    assert [each for each in Permission if sam.may(each)] == [Permission.ORDERS_VIEW]


def test_superusers_and_the_system_may_all_and_others_nothing() -> None:
    for mighty in (member(is_superuser=True), system("expiry")):
        assert all(mighty.may(each) for each in Permission)
    for weak in (customer(), anonymous(), member()):
        assert not any(weak.may(each) for each in Permission)


def test_the_first_missing_permission_is_named() -> None:
    sam = member(Permission.ORDERS_VIEW)

    sam.require(Permission.ORDERS_VIEW)
    with pytest.raises(PermissionDenied) as refusal:
        sam.require(Permission.ORDERS_VIEW, Permission.ORDERS_CANCEL, Permission.PAYMENTS_REFUND)

    assert refusal.value.data == {"permission": "orders.cancel"}


def test_what_is_ones_own_needs_no_permission_and_what_is_others_is_hidden_from_customers() -> None:
    carla, sam = customer(), member()

    carla.require_for(carla.id, Permission.ORDERS_VIEW)
    sam.require_for(sam.id, Permission.ORDERS_VIEW)
    for nobody in (carla, anonymous()):
        for owner in (sam.id, None):
            with pytest.raises(NotFound):
                nobody.require_for(owner, Permission.ORDERS_VIEW)
    for owner in (carla.id, None):
        with pytest.raises(PermissionDenied):
            sam.require_for(owner, Permission.ORDERS_VIEW)
        system("expiry").require_for(owner, Permission.ORDERS_VIEW)


def test_codes_of_another_release_are_left_out() -> None:
    assert permissions_of_codes(["orders.view", "orders.fold"]) == {Permission.ORDERS_VIEW}


def test_roles_are_those_of_the_contract() -> None:
    orders = {each for each in Permission if each.startswith("orders.")}
    assert ROLES["clerk"] == orders | {
        Permission.RETURNS_HANDLE,
        Permission.CUSTOMERS_VIEW,
        Permission.PAYMENTS_VIEW,
        Permission.STOCK_VIEW,
    }
    assert Permission.PAYMENTS_REFUND not in ROLES["clerk"] | ROLES["stock_keeper"]
    assert Permission.PRODUCTS_PRICE not in ROLES["stock_keeper"]
    assert ROLES["manager"] == set(Permission) - {Permission.STAFF_MANAGE}
    assert all(Permission.STAFF_MANAGE not in role for role in ROLES.values())
