"""Groups, which are the roles of staff: who changes them, and to what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from oms.core.errors import PermissionDenied
from oms.core.permissions import Permission
from oms.events.models import Event
from oms.testing.factories import actor_for, make_staff, permission_rows
from oms.users.errors import RoleRenamed
from oms.users.models import User
from oms.users.operations.groups import add_group, change_group
from oms.users.tests.test_authorization import make_boss, manager

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("make", [make_boss, make_staff])
def test_permissions_of_groups_are_changed_by_those_who_have_them_and_the_log_has_them(
    make: Callable[[], User],
) -> None:
    [right] = permission_rows(["orders.view"])
    browser = Client()
    browser.force_login(make())
    pages = "/admin/auth/group/"

    browser.post(f"{pages}add/", {"name": "Packers", "permissions": [right.pk]})
    group = Group.objects.get(name="Packers")
    browser.post(f"{pages}{group.pk}/change/", {"name": "Shippers", "permissions": []})
    Group.objects.create(name="Taken")
    taken = browser.post(f"{pages}{group.pk}/change/", {"name": "Taken", "permissions": []})

    assert "A group with this name already exists" in taken.content.decode()
    events = Event.objects.filter(type="group.changed").order_by("position")
    assert [event.data["changes"] for event in events] == [
        {"name": ["", "Packers"], "permissions": [[], ["orders.view"]]},
        {"name": ["Packers", "Shippers"], "permissions": [["orders.view"], []]},
    ]
    assert {event.object_id.int for event in events} == {group.pk}
    assert Group.objects.get(pk=group.pk).name == "Shippers"


def test_forms_offer_the_permissions_of_the_shop_alone() -> None:
    browser = Client()
    browser.force_login(make_boss())

    for path in ("/admin/auth/group/add/", f"/admin/users/user/{make_staff().pk}/change/"):
        fields = browser.get(path).context["adminform"].form.fields
        offered: Any = fields.get("permissions") or fields["user_permissions"]
        assert {row.codename for row in offered.queryset} == set(Permission)
        assert "Refund payments (payments.refund)" in [label for _, label in offered.choices]


def test_groups_are_closed_to_those_who_lack_a_permission_of_theirs() -> None:
    group = Group.objects.create(name="Packers")
    accountant = Group.objects.get(name="accountant")
    nobody = actor_for(manager(Permission.STAFF_MANAGE))
    weaker = actor_for(manager(Permission.PAYMENTS_REFUND))
    refunds = permission_rows(["payments.refund"])
    before = Group.objects.count(), accountant.permissions.count()

    for actor in (nobody, weaker):
        with pytest.raises(PermissionDenied):
            add_group(actor=actor, name="Bosses", permissions=refunds)
        with pytest.raises(PermissionDenied):
            change_group(actor=actor, group_id=group.pk, permissions=refunds)
        with pytest.raises(PermissionDenied):
            change_group(actor=actor, group_id=accountant.pk, permissions=[])

    assert not group.permissions.exists()
    assert (Group.objects.count(), accountant.permissions.count()) == before


def test_roles_keep_their_names_but_not_their_permissions() -> None:
    clerk, actor = Group.objects.get(name="clerk"), actor_for(make_staff())

    with pytest.raises(RoleRenamed):
        change_group(actor=actor, group_id=clerk.pk, name="Clerks")
    change_group(actor=actor, group_id=clerk.pk, permissions=permission_rows(["orders.view"]))

    clerk.refresh_from_db()
    assert clerk.name == "clerk"
    assert [row.codename for row in clerk.permissions.all()] == ["orders.view"]
