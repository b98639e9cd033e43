"""What of the topics each caller may follow."""

from __future__ import annotations

import pytest

from oms.core.errors import NotAuthenticated, PermissionDenied
from oms.core.ids import new_id
from oms.core.permissions import NO_PERMISSIONS, Permission
from oms.streams.topics import Topic, interest_of
from oms.users.access_tokens import Account

ALL = tuple(Topic)


def account(*permissions: Permission, is_staff: bool = True, is_superuser: bool = False) -> Account:
    return Account(
        session_id=new_id(),
        id=new_id(),
        email="sam@example.com",
        is_staff=is_staff,
        is_superuser=is_superuser,
        language="",
        permissions=frozenset(permissions),
    )


def kinds(caller: Account) -> set[str]:
    """Of which kinds of objects the caller follows the events of the topic orders."""
    scope = interest_of(caller, topics=[Topic.ORDERS], product_id=None).scope
    assert scope is not None
    return {type_.partition(".")[0] for type_ in scope.types}


def test_staff_follow_all_orders_with_the_permission_to_view_them() -> None:
    for caller in (account(Permission.ORDERS_VIEW), account(is_superuser=True)):
        scope = interest_of(caller, topics=ALL, product_id=None).scope
        assert scope is not None
        assert scope.customer_id is None

    for permissions in (NO_PERMISSIONS, set(Permission) - {Permission.ORDERS_VIEW}):
        with pytest.raises(PermissionDenied) as refusal:
            interest_of(account(*permissions), topics=ALL, product_id=None)
        assert refusal.value.permission is Permission.ORDERS_VIEW


def test_staff_follow_payments_with_the_permission_to_view_them() -> None:
    assert kinds(account(Permission.ORDERS_VIEW)) == {"order", "return"}
    both = account(Permission.ORDERS_VIEW, Permission.PAYMENTS_VIEW)
    assert (
        kinds(both) == kinds(account(is_superuser=True)) == {"order", "return", "payment", "refund"}
    )


def test_other_topics_need_no_permission() -> None:
    for caller in (account(), account(is_staff=False)):
        interest = interest_of(
            caller, topics=[Topic.NOTIFICATIONS, Topic.INVENTORY], product_id=None
        )
        assert interest.scope is not None
        assert interest.scope.customer_id == caller.id


def test_customers_follow_their_own_orders() -> None:
    caller = account(*Permission, is_staff=False)
    scope = interest_of(caller, topics=[Topic.ORDERS], product_id=None).scope

    assert scope is not None
    assert scope.customer_id == caller.id
    assert kinds(caller) == {"order", "return"}
    with pytest.raises(NotAuthenticated):
        interest_of(None, topics=[Topic.ORDERS], product_id=None)
