"""The demo page and the back office's badge in a real browser, fed by the stream."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connections
from playwright.sync_api import APIResponse, BrowserContext, Route, expect

from oms.testing.chromium import chromium
from oms.testing.event_log import lose_events
from oms.testing.factories import PASSWORD, actor_for, make_customer, make_product, make_staff
from oms.testing.ordering import place
from oms.testing.processes import Processes
from orders.operations.cancelling import cancel_order

pytestmark = pytest.mark.slow


@pytest.fixture
def browser(processes: Processes) -> Iterator[BrowserContext]:
    with chromium(base_url=processes.web_url) as browser:
        yield browser
        # The test has its own connection within the browser's event loop.
        connections.close_all()


def test_status_stock_and_notifications_move_while_one_looks(
    processes: Processes, browser: BrowserContext
) -> None:
    processes.start_all({"WEB_THREADS": "4"})
    mug = make_product(name="Mug", stock=10)
    page = browser.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto("/live")
    page.get_by_label("E-mail address").fill("live@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#connection")).to_have_text("Connected.")
    expect(page.locator("#stock")).to_have_text("10")

    page.get_by_role("button", name="Buy one").click()
    expect(page.locator("#stock")).to_have_text("9")
    expect(page.locator("#status")).to_have_text("confirmed")
    expect(page.locator("#events")).to_contain_text("order.paid")
    expect(page.locator("#events")).to_contain_text("Payment received")

    place((mug, 4))
    expect(page.locator("#stock")).to_have_text("5")
    assert errors == []


def test_the_page_recovers_from_what_may_happen_to_its_stream(
    processes: Processes, browser: BrowserContext
) -> None:
    processes.start_all({"WEB_THREADS": "4"})
    make_product(name="Mug", stock=10)
    cup = make_product(name="Cup", stock=20)
    page = browser.new_page()
    streams: list[str] = []
    page.on("request", lambda sent: streams.append(sent.url) if "/stream?" in sent.url else None)
    page.goto("/live")
    page.get_by_label("E-mail address").fill("live@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    connection, stock = page.locator("#connection"), page.locator("#stock")
    expect(connection).to_have_text("Connected.")

    # All events of an order come before the answer to its placing.
    held: list[tuple[Route, APIResponse]] = []
    page.route("**/api/v1/orders", lambda route: held.append((route, route.fetch())))
    page.get_by_label("Product").select_option(label="Cup, 19.90 EUR")
    page.get_by_role("button", name="Buy one").click()
    expect(page.locator("#events")).to_contain_text("order.confirmed")
    route, answer = held[0]
    assert answer.json()["status"] == "pending"
    route.fulfill(response=answer)
    expect(page.locator("#status")).to_have_text("confirmed")

    # Another product is chosen while a stream is being opened: there is one, of the last.
    tickets: list[Route] = []
    page.route("**/api/v1/stream/tickets", lambda route: tickets.append(route))
    streams.clear()
    choice = page.get_by_label("Product")
    for name in ("Cup", "Mug", "Cup"):
        choice.select_option(label=f"{name}, 19.90 EUR")
    page.wait_for_timeout(500)
    for ticket in tickets:
        ticket.continue_()
    expect(stock).to_have_text("19")
    page.wait_for_timeout(500)
    assert [str(cup.id) in url for url in streams] == [True]

    # The access token has expired.
    page.unroute("**/api/v1/stream/tickets")
    expired = {"content-type": "application/json", "authorization": "Bearer expired"}
    page.route("**/api/v1/stream/tickets", lambda route: route.continue_(headers=expired), times=1)
    streams.clear()
    choice.select_option(label="Mug, 19.90 EUR")
    expect(stock).to_have_text("10")
    assert len(streams) == 1

    # The log has lost the position, as after a restore.
    lose_events()
    choice.select_option(label="Cup, 19.90 EUR")
    expect(connection).to_have_text("Connecting again …")
    expect(connection).to_have_text("Connected.")
    expect(stock).to_have_text("19")
    assert "after=" not in streams[-1]


def test_staff_see_a_badge_and_nothing_jumps(processes: Processes, browser: BrowserContext) -> None:
    processes.start("web", {"WEB_THREADS": "4"})
    make_staff(email="admin@example.com", is_superuser=True)
    buyer = make_customer()
    order = place((make_product(), 1), customer=buyer)
    page = browser.new_page()
    page.goto("/admin/")
    page.get_by_label("E-mail address").fill("admin@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    # The dashboard opens one too.
    with page.expect_response(
        lambda answer: (
            "/api/v1/stream" in answer.url and str(order.pk) in answer.request.headers["referer"]
        )
    ):
        page.goto(f"/admin/orders/order/{order.pk}/change/")
    badge = page.locator(".live-badge")
    expect(badge).to_be_attached()
    expect(badge).to_be_hidden()
    place((make_product(), 1))
    cancel_order(actor=actor_for(buyer), order_id=order.id)
    expect(badge).to_contain_text("Show")
    expect(page.locator("section", has=page.locator("#order"))).not_to_contain_text("cancelled")
    badge.click()
    expect(page.locator("section", has=page.locator("#order"))).to_contain_text("cancelled")
    expect(badge).to_be_hidden()

    # What happens before the stream is open is not missed.
    held: list[Route] = []
    page.route("**/admin/stream/ticket/", lambda route: held.append(route))
    page.goto("/admin/orders/order/")
    assert held
    place((make_product(), 1))
    held[0].continue_()
    expect(badge).to_contain_text("Show")
