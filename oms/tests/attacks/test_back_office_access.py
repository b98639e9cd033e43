"""Every URL of the back office × method × caller, taken from the URLconf and the admin site."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import URLPattern, get_resolver
from django.utils.http import url_has_allowed_host_and_scheme

from oms.backoffice.admins import OperationAdmin
from oms.core.permissions import ROLES, Permission
from oms.testing.complete_shop import make_complete_shop
from oms.testing.factories import PASSWORD, make_customer, make_staff
from oms.tests.attacks.shop import database_digest
from oms.users.models import User

pytestmark = pytest.mark.django_db

# Pages for all staff: they show what each may see, or concern the reader's own account.
FOR_ALL_STAFF = {
    *("index", "search", "jsi18n", "login", "logout", "own-password"),
    *("password_change", "password_change_done", "password-link"),
}
# Pages without a login.
OPEN = {"login", "logout", "password-link"}
# What is tried again by itself may be tried again by those who may see it; those who may see what
# an exception is about may resolve it.
FOR_VIEWERS = {"retry", "retry_all", "resolve", "resolve_all"}
HOSTILE_TARGETS = (
    "https://evil.example/",
    "//evil.example/",
    "///evil.example/",
    "/\\evil.example/",
    "http:evil.example",
    "javascript:window.marked=1",
    "\thttps://evil.example/",
    "https://testserver@evil.example/",
)


@dataclass(frozen=True, kw_only=True)
class Target:
    """A URL of the back office."""

    path: str
    name: str
    """As in the URLconf, such as "orders_order_change"."""
    kind: str
    """What is left of the name without the model: "change", "changelist", the name of an action."""


@pytest.fixture(scope="module")
def shop(module_db: None) -> None:
    make_complete_shop()


@pytest.fixture
def targets(shop: None) -> list[Target]:
    found = [target for target in _targets() if target.name]
    assert len(found) > 100
    assert {"changelist", "add", "change", "delete", "history", "ship", "adjust"} <= {
        target.kind for target in found
    }
    return found


def _targets() -> Iterator[Target]:
    patterns = get_resolver().url_patterns  # which loads the admin pages
    models = {f"{m._meta.app_label}_{m._meta.model_name}": m for m in admin.site._registry}
    for route, name in _patterns(patterns):
        if not route.startswith("admin/"):
            continue
        label = "_".join(name.split("_")[:2])
        model = models.get(label)
        row = model._default_manager.first() if model else None
        path = route.replace("<path:object_id>", str(row.pk) if row else "1")
        path = re.sub(r"\^\(\?P<app_label>(\w+)\|.*$", r"\1/", path)
        path = re.sub(r"\(\?P<url>.*$", "nothing/", path)
        yield Target(
            path=f"/{path}", name=name, kind=name.removeprefix(f"{label}_") if model else name
        )


def _patterns(patterns: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    for pattern in patterns:
        route = f"{prefix}{pattern.pattern}"
        if isinstance(pattern, URLPattern):
            yield route, pattern.name or ""
        else:
            yield from _patterns(pattern.url_patterns, route)


def client_of(user: User | None, *, enforce_csrf_checks: bool = False) -> Client:
    client = Client(enforce_csrf_checks=enforce_csrf_checks)
    if user is not None:
        client.force_login(user)
    return client


def viewer() -> User:
    """Staff who may see everything but returns, which only those who handle them see."""
    return make_staff(permissions=[each for each in Permission if each.endswith(".view")])


def content() -> str:
    """A digest of all tables but those of the sessions, and of what they open streams with."""
    return database_digest(without={"django_session", "django_migrations", "streams_ticket"})


def send(client: Client, method: str, path: str) -> Any:
    """Read the page, or post what would confirm a deletion, save a form or run an action."""
    return client.get(path) if method == "get" else client.post(path, FORGED)


FORGED = {
    "post": "yes",
    "_save": "1",
    "confirmed": "1",
    "reason": "damaged",
    "note": "forged",
    "delta": "-1",
    "carrier": "forged",
    "password": "Forged-horse-9",
    "amount": "1.00",
    "again": "Forged-horse-9",
    "name": "forged",
    "email": "forged@example.com",
    "is_superuser": "on",
    "is_staff": "on",
    "is_active": "on",
}


_OTHERS: Mapping[str, Callable[[], User | None]] = {
    "nobody": lambda: None,
    "customer": make_customer,
    "deactivated staff": lambda: make_staff(is_active=False, is_superuser=True),
}


@pytest.mark.parametrize("caller", _OTHERS)
@pytest.mark.parametrize("method", ["get", "post"])
def test_others_than_staff_are_sent_to_the_login_and_change_nothing(
    targets: list[Target], caller: str, method: str
) -> None:
    client = client_of(_OTHERS[caller]())
    before = content()

    answers = {
        target.path: send(client, method, target.path)
        for target in targets
        if target.name not in OPEN
    }

    wrong = {
        path: answer.status_code
        for path, answer in answers.items()
        if not (answer.status_code == 302 and answer["Location"].startswith("/admin/login/?next=/"))
    }
    assert wrong == {}
    assert content() == before


@pytest.mark.parametrize("method", ["get", "post"])
def test_staff_without_permissions_see_and_change_nothing(
    targets: list[Target], method: str
) -> None:
    client = client_of(make_staff(permissions=()))
    before = content()

    statuses = {
        target.path: send(client, method, target.path).status_code
        for target in targets
        if target.name not in FOR_ALL_STAFF
    }

    # Pages of an app of which they see nothing, and of objects without a page, do not exist; the
    # choices of fields are only read.
    allowed = {403, 404, 405}
    assert {path: status for path, status in statuses.items() if status not in allowed} == {}
    assert content() == before


@pytest.mark.parametrize("method", ["get", "post"])
def test_staff_who_may_only_see_open_lists_and_objects_alone(
    targets: list[Target], method: str
) -> None:
    user = viewer()
    client = client_of(user)
    before = content()

    statuses = {
        target: send(client, method, target.path).status_code
        for target in targets
        if target.name not in FOR_ALL_STAFF and target.kind not in FOR_VIEWERS
        # Groups are for those who manage staff, returns for those who handle them.
        if not target.name.startswith(("auth_group", "orders_orderreturn"))
    }

    readable = {"changelist", "change", "history", "app_list"}
    wrong = {
        target.path: status
        for target, status in statuses.items()
        if target.name != "stream-ticket"  # which lets them see, and no more
        # They see nothing of the app of groups.
        if (status, target.path) != (404, "/admin/auth/")
        if status not in ((200, 302, 403) if target.kind in readable else (403, 404, 405))
        or (method == "get" and target.kind in {"changelist", "change"} and status != 200)
    }
    assert wrong == {}
    assert content() == before


def test_bulk_actions_ask_their_permission_too(shop: None) -> None:
    client = client_of(viewer())
    before = content()
    checked = 0

    for model, page_admin in admin.site._registry.items():
        names = [action.name for action in getattr(page_admin, "bulk_actions", ())]
        for name in {*names, "delete_selected"} - FOR_VIEWERS:
            rows = list(model._default_manager.values_list("pk", flat=True)[:3])
            client.post(
                f"/admin/{model._meta.app_label}/{model._meta.model_name}/",
                {"action": name, "_selected_action": rows, "confirmed": "1", "post": "yes"},
            )
            checked += 1

    assert checked > 15
    assert content() == before


def test_reading_changes_nothing(targets: list[Target]) -> None:
    client = client_of(make_staff(is_superuser=True))
    before = content()

    statuses = {target.path: client.get(target.path).status_code for target in targets}

    assert max(statuses.values()) < 500, statuses
    assert content() == before


def test_without_the_token_of_the_form_nothing_is_changed(targets: list[Target]) -> None:
    client = client_of(make_staff(is_superuser=True), enforce_csrf_checks=True)
    before = content()

    statuses = {target.path: send(client, "post", target.path).status_code for target in targets}

    assert {path: status for path, status in statuses.items() if status != 403} == {}
    assert content() == before


@pytest.mark.parametrize("target", HOSTILE_TARGETS)
def test_the_login_leads_to_no_other_site(target: str) -> None:
    staff, client = make_staff(), Client()

    page = client.get("/admin/login/", {"next": target})
    answer = client.post(
        "/admin/login/", {"username": staff.email, "password": PASSWORD, "next": target}
    )
    again = client.get("/admin/login/", {"next": target})

    assert page.status_code == 200
    for response in (answer, again):
        assert response.status_code == 302
        assert response["Location"] == "/admin/"
        assert url_has_allowed_host_and_scheme(response["Location"], {"testserver"})


def _form_values(form: Any) -> dict[str, Any]:
    """What the browser would send of the form if nothing were changed."""
    values: dict[str, Any] = {}
    for bound in form:
        value = bound.value()
        if hasattr(value, "all") or isinstance(value, (list, tuple)):
            values[bound.html_name] = [str(getattr(each, "pk", each)) for each in value]
        elif value not in (None, False):
            values[bound.html_name] = "on" if value is True else str(value)
    return values


@pytest.mark.parametrize("is_superuser", [True, False])
def test_forms_change_no_field_that_they_do_not_show(shop: None, is_superuser: bool) -> None:
    client = client_of(make_staff(is_superuser=is_superuser))
    checked = set()
    for model, page_admin in admin.site._registry.items():
        if not isinstance(page_admin, OperationAdmin):
            continue
        rows = model._default_manager.all()
        # Staff may change the accounts of customers alone.
        row: Any = (rows.filter(is_staff=False) if model is User else rows).first()
        if model is Group:  # the roles keep their names
            row = rows.exclude(name__in=ROLES).first()
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/{row.pk}/change/"
        page = client.get(path)
        form = page.context["adminform"].form
        if not form.fields:
            continue
        hidden = [field for field in model._meta.concrete_fields if field.name not in form.fields]
        before = model._default_manager.filter(pk=row.pk).values(*[f.attname for f in hidden]).get()
        extra: dict[str, Any] = {field.name: "1" for field in hidden}
        extra |= {"is_superuser": "on", "is_staff": "on"} if not is_superuser else {}
        sent = {**extra, **_form_values(form)}
        texts = [name for name in ("name", "full_name") if name in sent]
        sent[texts[0]] = "Changed"

        answer = client.post(path, sent)

        assert answer.status_code == 302, (path, answer.context["adminform"].form.errors)
        row.refresh_from_db()
        assert getattr(row, texts[0]) == "Changed"
        after = model._default_manager.filter(pk=row.pk).values(*before).get()
        changed = {name for name in before if before[name] != after[name]}
        assert changed <= {"version", "updated_at"}, path
        checked.add(model.__name__)
    assert {"Product", "User", "Location"} <= checked
