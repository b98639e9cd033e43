"""The back office in a real browser, against a real web server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.db import connections
from playwright.sync_api import Locator, Page, expect

from inventory.models import Product
from oms.testing.chromium import chromium
from oms.testing.factories import PASSWORD, make_product, make_staff
from oms.testing.ordering import paid_order, stock_of
from oms.testing.processes import Processes
from oms.users.operations.password_links import password_link
from orders.models import Shipment

pytestmark = pytest.mark.slow


@pytest.fixture
def page(processes: Processes) -> Iterator[Page]:
    """A page of the system's Chromium, logged in as a superuser at a web server of its own."""
    make_staff(email="admin@example.com", is_superuser=True)
    processes.start("web", {"WEB_THREADS": "4"})
    with chromium(base_url=processes.web_url) as browser:
        page = browser.new_page()
        page.goto("/admin/")
        page.get_by_label("E-mail address").fill("admin@example.com")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_text("Awaiting shipment")).to_be_visible()
        yield page
        # The test has its own connection within the browser's event loop.
        connections.close_all()


def action(page: Page, name: str) -> Locator:
    """The button of the action, by URL: its icon is part of its accessible name."""
    return page.locator(f"#main a[href$='/{name}/']")


def test_a_new_member_of_the_staff_sets_the_password_by_the_mailed_link(
    processes: Processes, page: Page
) -> None:
    member = make_staff(email="sam@example.com")
    path = password_link(member.pk).removeprefix(settings.PUBLIC_URL)
    page.context.clear_cookies()
    page.goto(path)
    for name in ("password", "again"):
        page.locator(f"[name={name}]").fill("Correct-horse-battery-9")
    page.get_by_role("button", name="Set password").click()

    expect(page.get_by_text("Password set. You can log in now.")).to_be_visible()


def test_staff_add_and_adjust_a_product_and_ship_an_order(page: Page) -> None:
    page.goto("/admin/inventory/product/add/")
    page.locator("[name=name]").fill("Espresso cup")
    page.locator("[name=sku]").fill("CUP-1")
    page.locator("[name=price]").fill("12.50")
    page.locator("[name=initial_stock]").fill("20")
    page.get_by_role("button", name="Save", exact=True).click()
    row = page.locator("#result_list tbody", has_text="CUP-1")
    expect(row).to_contain_text("12.50 EUR")
    expect(row).to_contain_text("in stock")

    row.get_by_role("link", name="Espresso cup").click()
    action(page, "adjust").click()
    page.locator("[name=reason]").select_option("damaged")
    page.locator("[name=delta]").fill("-3")
    page.locator("[name=note]").fill("dropped")
    page.get_by_role("button", name="Adjust stock").click()

    expect(page.get_by_text("17 on hand")).to_be_visible()
    expect(page.locator("section", has_text="Latest stock movements")).to_contain_text("dropped")
    cup = Product.objects.get(sku="CUP-1")
    assert stock_of(cup) == (17, 0)

    order = paid_order((cup, 2))
    page.goto("/admin/orders/order/")
    page.get_by_role("link", name=order.number).click()
    expect(page.get_by_text("No shipments yet.")).to_be_visible()
    action(page, "ship").click()
    page.locator("[name=carrier]").fill("DHL")
    page.locator("[name=tracking_number]").fill("JJD0003")
    page.get_by_role("button", name="Ship").click()

    expect(page.locator("section", has=page.locator("#order"))).to_contain_text("shipped")
    history = page.locator("section", has=page.locator("#history"))
    expect(history).to_contain_text("Shipment sent")
    expect(history).to_contain_text("admin@example.com")
    assert Shipment.objects.get(order=order).tracking_number == "JJD0003"
    # An action that is no longer allowed is not offered, and refused by its URL too.
    expect(action(page, "deliver")).to_be_visible()
    expect(action(page, "cancel")).to_have_count(0)
    page.goto(f"/admin/orders/order/{order.pk}/cancel/")
    expect(page.get_by_text("isn't available")).to_be_visible()
    order.refresh_from_db()
    assert order.status == "shipped"


def test_what_waits_is_shown_and_a_form_in_an_older_tab_is_refused(page: Page) -> None:
    cup = make_product(stock=3, backorderable=True, name="Cup", sku="CUP")
    order = paid_order((cup, 5))
    page.goto(f"/admin/orders/order/{order.pk}/change/")
    action(page, "ship").click()
    expect(page.get_by_text("2 × Cup (CUP) waits for stock and ships later.")).to_be_visible()

    tab = page.context.new_page()
    tab.goto(f"/admin/orders/order/{order.pk}/edit_details/")
    tab.locator("[name=internal_note]").fill("Ships in two shipments")
    tab.get_by_role("button", name="Edit note, reference, metadata").click()
    expect(tab.get_by_text("Ships in two shipments").first).to_be_visible()
    page.get_by_role("button", name="Ship").click()

    expect(page.get_by_text("This was changed after you opened the page")).to_be_visible()
    assert not Shipment.objects.exists()
    tab.goto(f"/admin/inventory/product/{cup.pk}/change/")
    card = tab.locator("section", has=tab.locator("#availability"))
    expect(card).to_contain_text("2 units wait for stock.")
    expect(card.get_by_role("link", name=order.number)).to_have_count(2)
