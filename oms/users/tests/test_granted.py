"""The permissions of accounts: what the migrations make, and what each way of asking finds."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission as PermissionRow
from django.db import connection
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from oms.core.permissions import NO_PERMISSIONS, ROLES, Permission
from oms.testing.factories import make_customer, make_staff, permission_rows, tokens_for
from oms.users import access_tokens
from oms.users.access_tokens import account_of
from oms.users.granted import granted_permissions, permissions_of_groups
from oms.users.models import Session, User
from oms.users.queries import back_office_account

pytestmark = pytest.mark.django_db


def member() -> User:
    """Staff with one permission directly, one by a group, and one by both."""
    user = make_staff(permissions=["orders.view", "orders.edit"])
    group = Group.objects.create(name="Packers")
    group.permissions.set(permission_rows(["orders.ship", "orders.edit"]))
    user.groups.add(group)
    return user


EXPECTED = {Permission.ORDERS_VIEW, Permission.ORDERS_EDIT, Permission.ORDERS_SHIP}


def test_permissions_are_those_granted_directly_and_by_groups() -> None:
    user = member()
    tokens_for(user)
    account = account_of(Session.objects.get().id)
    browser = Client()
    browser.force_login(user)
    of_the_back_office = back_office_account(browser.session.session_key or "")

    assert account is not None
    assert of_the_back_office is not None
    assert account.permissions == of_the_back_office.permissions == EXPECTED
    assert User.objects.get(pk=user.pk).permissions == EXPECTED
    assert granted_permissions(user.id) == EXPECTED
    assert permissions_of_groups([user.groups.get().pk]) == {
        Permission.ORDERS_SHIP,
        Permission.ORDERS_EDIT,
    }


def test_customers_have_none_even_if_they_were_granted_some() -> None:
    user = member()
    User.objects.filter(pk=user.pk).update(is_staff=False)
    tokens_for(user)
    account = account_of(Session.objects.get().id)

    assert account is not None
    assert account.permissions == NO_PERMISSIONS
    assert User.objects.get(pk=user.pk).permissions == NO_PERMISSIONS
    assert granted_permissions(user.id) == EXPECTED


def test_the_account_is_one_statement_for_staff_too(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    for user in (make_customer(), make_staff(), make_staff(is_superuser=True)):
        tokens_for(user)
        session_id = Session.objects.get(user=user).id
        with django_assert_num_queries(1):
            assert account_of(session_id) is not None


def test_for_customers_and_superusers_no_grants_are_read() -> None:
    for user, loops in ((make_customer(), 0), (make_staff(is_superuser=True), 0), (member(), 1)):
        tokens_for(user)
        with connection.cursor() as cursor:
            cursor.execute(
                f"EXPLAIN (ANALYZE, TIMING OFF) {access_tokens._ACCOUNTS}",
                [list(Session.objects.filter(user=user).values_list("pk", flat=True))],
            )
            plan = "\n".join(line for (line,) in cursor.fetchall())
        read = [
            line
            for line in plan.splitlines()
            if "auth_permission" in line and "never executed" not in line
        ]
        assert bool(read) is bool(loops), plan


def test_every_permission_has_a_row_and_every_role_a_group() -> None:
    rows = PermissionRow.objects.filter(codename__contains=".")

    assert {row.codename: row.name for row in rows} == {each: each.label for each in Permission}
    assert {
        group.name: {row.codename for row in group.permissions.all()}
        for group in Group.objects.filter(name__in=ROLES)
    } == dict(ROLES)
