"""Every list, form and action of the back office asks for its permissions, one by one."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.urls import get_resolver

from oms.backoffice.admins import OperationAdmin
from oms.core.permissions import Permission
from oms.testing.complete_shop import make_complete_shop
from oms.testing.factories import make_staff
from oms.tests.attacks.test_back_office_access import FORGED, client_of
from oms.users.models import Session, User

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def shop(module_db: None) -> None:
    assert get_resolver().url_patterns  # which loads the admin pages
    make_complete_shop()


# The admins of accounts decide by the account: oms/users/tests/test_authorization.py.
BY_ACCOUNT = {User, Session}


def test_every_list_states_and_asks_its_permissions(shop: None) -> None:
    for model, page_admin in admin.site._registry.items():
        if model in BY_ACCOUNT:
            continue
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        needed: Any = page_admin.view_permissions  # type: ignore[attr-defined]
        assert needed, path
        assert client_of(make_staff(permissions=needed)).get(path).status_code == 200, path
        for missing in needed:
            others = make_staff(permissions=set(Permission) - {missing})
            assert client_of(others).get(path).status_code == 403, path
            assert path not in client_of(others).get("/admin/").content.decode(), path


def test_every_action_asks_its_permissions(shop: None) -> None:
    """Staff with all permissions but one of an action's own cannot open it, one by one."""
    checked = 0
    for model, page_admin in admin.site._registry.items():
        if model in BY_ACCOUNT:
            continue
        for action in getattr(page_admin, "object_actions", ()):
            owner: Any = page_admin
            row: Any = model._default_manager.first()
            subject = owner.subject_of(row)
            needed = {
                *owner.view_permissions,
                *action.permissions,
                *action.permissions_for(subject),
            }
            app, name = model._meta.app_label, model._meta.model_name
            path = f"/admin/{app}/{name}/{row.pk}/{action.name}/"
            client = client_of(make_staff(permissions=needed))
            # Shown, or not available for this object.
            assert client.get(path).status_code in (200, 302), path
            for missing in needed:
                client = client_of(make_staff(permissions=set(Permission) - {missing}))
                assert client.get(path).status_code == 403, (path, missing)
                assert client.post(path, {"confirmed": "1"}).status_code == 403, (path, missing)
                checked += 1
    assert checked > 30


@pytest.mark.parametrize("page", ["add", "change"])
def test_every_form_asks_its_permissions(shop: None, page: str) -> None:
    for model, page_admin in admin.site._registry.items():
        if model in BY_ACCOUNT or not isinstance(page_admin, OperationAdmin):
            continue
        row: Any = model._default_manager.first()
        start = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        path = f"{start}add/" if page == "add" else f"{start}{row.pk}/change/"
        asked = page_admin.add_permissions if page == "add" else page_admin.change_permissions
        needed = {*page_admin.view_permissions, *asked}
        allowed = client_of(make_staff(permissions=needed)).get(path)
        assert allowed.status_code == 200, path
        assert "_save" in allowed.content.decode()
        for missing in needed:
            client = client_of(make_staff(permissions=set(Permission) - {missing}))
            answer = client.get(path)
            if page == "change" and missing not in page_admin.view_permissions:
                assert "_save" not in answer.content.decode(), (path, missing)
            else:
                assert answer.status_code == 403, (path, missing)
            assert client.post(path, FORGED).status_code == 403, (path, missing)
