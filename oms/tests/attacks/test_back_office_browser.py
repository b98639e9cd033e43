"""Hostile texts and the policy of the back office's pages, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.db import connections
from django.urls import reverse
from playwright.sync_api import ConsoleMessage, Page, Route, expect

from oms.backoffice.admins import ReadOnlyAdmin
from oms.testing.chromium import chromium
from oms.testing.complete_shop import CompleteShop, make_complete_shop
from oms.testing.factories import PASSWORD, make_staff
from oms.testing.ordering import ADDRESS
from oms.testing.processes import Processes
from oms.tests.attacks.hostile import HOSTILE

pytestmark = pytest.mark.slow

admin.autodiscover()  # as the URLs do, which are loaded with the first request

INJECTED = "<img src=missing onerror='window.marked = true'>"


class Watched:
    """A page of the browser, and what its console said."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        page.on("dialog", lambda dialog: self.complaints.append(f"{page.url}: {dialog.message}"))

    def open(self, path: str) -> None:
        self.page.goto(path)
        if self.page.evaluate("window.marked"):
            self.complaints.append(f"{path}: a marker was executed")

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{self.page.url}: {message.text}")


@pytest.fixture
def shop(transactional_db: None) -> CompleteShop:
    """All that people may write is hostile."""
    make_staff(email="admin@example.com", is_superuser=True)
    return make_complete_shop(
        text=HOSTILE, address={**ADDRESS, "name": HOSTILE, "line1": HOSTILE, "city": HOSTILE[:100]}
    )


@pytest.fixture(scope="module")
def web(module_processes: Processes) -> str:
    """The URL of a web server for all tests."""
    module_processes.start("web", {"WEB_THREADS": "4"})
    return module_processes.web_url


@pytest.fixture
def watched(shop: CompleteShop, web: str) -> Iterator[Watched]:
    with chromium(base_url=web) as browser:
        watched = Watched(browser.new_page())
        watched.open("/admin/")
        watched.page.get_by_label("E-mail address").fill("admin@example.com")
        watched.page.get_by_label("Password").fill(PASSWORD)
        watched.page.get_by_role("button", name="Log in").click()
        expect(watched.page.get_by_text("Awaiting shipment")).to_be_visible()
        yield watched
        # The test has its own connection within the browser's event loop.
        connections.close_all()


def pages_of(page_admin: Any) -> Iterator[str]:
    """The list of the admin, its search, its forms, and the actions of its first rows."""
    model = page_admin.model
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    list_page = reverse(f"{name}_changelist")
    yield list_page
    yield f"{list_page}?q=%3Cscript%3Ewindow.marked%3D1%3C/script%3E"
    if not isinstance(page_admin, ReadOnlyAdmin):
        yield reverse(f"{name}_add")
    for row in model._default_manager.all()[:3]:
        page = reverse(f"{name}_change", args=[row.pk])
        yield page
        for action in getattr(page_admin, "object_actions", ()):
            yield f"{page.removesuffix('change/')}{action.name}/"


@pytest.mark.timeout(300)
def test_every_page_works_under_its_policy_and_runs_nothing_that_people_wrote(
    watched: Watched,
) -> None:
    paths = [path for page_admin in admin.site._registry.values() for path in pages_of(page_admin)]
    assert len(paths) > 60

    for path in ("/", "/admin/", "/admin/password_change/", "/api/docs/problems", *paths):
        watched.open(path)

    assert watched.complaints == []


def test_unknown_pages_have_their_styles(watched: Watched) -> None:
    watched.open("/admin/nothing/")

    expect(watched.page.locator("main")).to_have_css("border-radius", "6px")
    [complaint] = watched.complaints
    assert "the server responded with a status of 404" in complaint


def test_what_the_pages_do_by_script_works(watched: Watched) -> None:
    page = watched.page
    sidebar = page.locator("#nav-sidebar-apps")
    expect(sidebar).to_be_visible()
    page.get_by_text("dock_to_right").first.click()
    expect(sidebar).to_be_hidden()
    page.reload()
    expect(sidebar).to_be_hidden()
    page.get_by_text("dock_to_right").first.click()
    expect(sidebar).to_be_visible()

    search = page.locator("#nav-filter")
    search.press_sequentially("prod")
    expect(page.locator("#search-results")).to_contain_text("Products")
    search.press("Escape")
    expect(page.locator("#search-results")).to_be_hidden()
    expect(search).to_have_value("")

    search.blur()
    page.keyboard.press("Control+k")
    command = page.locator("[x-ref=searchInputCommand]")
    expect(command).to_be_focused()
    command.press_sequentially("location")
    expect(page.locator("#command-results-list li")).not_to_have_count(0)
    command.press("ArrowDown")
    command.press("Enter")
    page.wait_for_url("**/admin/inventory/location/**")

    page.goto("/admin/orders/order/")
    page.locator("a", has_text="Filters").first.click()
    expect(page.locator("#changelist-filter")).to_be_visible()
    assert watched.complaints == []


def test_a_script_that_got_into_a_page_does_not_run(watched: Watched) -> None:
    page = watched.page
    inject = """injected => {
        document.body.insertAdjacentHTML("beforeend", injected);
        const script = document.createElement("script");
        script.textContent = "window.marked = true";
        document.body.append(script);
    }"""

    def is_marked_after_injection() -> Any:
        page.evaluate(inject, INJECTED)
        page.wait_for_timeout(300)
        return page.evaluate("window.marked")

    watched.open("/admin/orders/order/")
    assert is_marked_after_injection() is None
    assert any("Content Security Policy" in complaint for complaint in watched.complaints)

    # Without its policy the same page runs it.
    def without_policy(route: Route) -> None:
        answer = route.fetch()
        headers = {**answer.headers}
        del headers["content-security-policy"]
        route.fulfill(response=answer, headers=headers)

    page.route("**/admin/orders/order/", without_policy)
    page.goto("/admin/orders/order/")
    assert is_marked_after_injection() is True


@pytest.mark.parametrize("path", ["/api/docs", "/api/redoc"])
def test_the_pages_of_the_documentation_keep_to_their_policy(watched: Watched, path: str) -> None:
    watched.open(path)
    watched.page.wait_for_load_state("networkidle", timeout=60_000)

    # ReDoc shows its maker's logo, from another server.
    assert [text for text in watched.complaints if "cdn.redoc.ly" not in text] == []
