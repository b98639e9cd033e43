"""What staff read in the back office: names instead of ids, formatted numbers, explanations."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import DjangoAssertNumQueries

from inventory.models import StockMovement
from oms.backoffice.admins import BoundedPaginator
from oms.events.models import Event
from oms.testing.factories import make_customer, make_product, make_staff
from oms.testing.ordering import paid_order, payment_of, place
from orders.models import Order
from payments.admin.statuses import REFUND_HELP
from payments.models import Payment, Refund
from payments.states import RefundStatus

pytestmark = pytest.mark.django_db

ORDERS = "/admin/orders/order/"
MOVEMENTS = "/admin/inventory/stockmovement/"
PAYMENTS = "/admin/payments/payment/"
EVENTS = "/admin/events/event/"
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


def text(response: Any) -> str:
    return str(response.content.decode())


def words(response: Any) -> str:
    """The visible text of the page."""
    body = re.sub(r"(?s)<(script|style|title)\b.*?</\1>", " ", text(response))
    visible = re.sub(r"<[^>]*>", " ", body[body.index("<body") :])
    return " ".join(unescape(visible).split())


@pytest.mark.parametrize("url", [PAYMENTS, MOVEMENTS, EVENTS])
def test_rows_of_other_apps_name_an_order_by_its_number(staff: Client, url: str) -> None:
    order = paid_order((make_product(), 1))

    page = staff.get(url)

    assert f'href="{ORDERS}{order.pk}/change/">' in text(page)
    assert order.number in words(page)
    assert _ID.search(words(page)) is None


@pytest.mark.parametrize("url", [PAYMENTS, MOVEMENTS])
def test_order_numbers_take_one_query_for_a_whole_list(
    staff: Client, url: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    mug = make_product(stock=100)
    paid_order((mug, 1))
    staff.get(url)
    with django_assert_max_num_queries(10) as few:
        staff.get(url)
    numbers = [paid_order((mug, 1)).number for _ in range(10)]

    with django_assert_max_num_queries(len(few)):
        page = words(staff.get(url))

    assert all(number in page for number in numbers)


@pytest.mark.parametrize("url", [PAYMENTS, MOVEMENTS, EVENTS])
def test_lists_of_other_apps_find_an_order_by_its_number(staff: Client, url: str) -> None:
    mug = make_product(stock=10)
    found, other = paid_order((mug, 1)), paid_order((mug, 1))

    page = words(staff.get(url, {"q": f" {found.number.lower()} "}))

    assert found.number in page
    assert other.number not in page


def test_a_search_for_no_orders_number_finds_no_rows_without_an_order(staff: Client) -> None:
    make_product()
    assert StockMovement.objects.filter(order_id=None).exists()

    assert "No results" in words(staff.get(MOVEMENTS, {"q": "20260101-NOSUCH"}))


def test_a_deleted_order_is_named_as_such_and_not_linked(staff: Client) -> None:
    order = place((make_product(), 1))
    Order.objects.filter(pk=order.pk).update(deleted_at=order.placed_at)

    page = staff.get(MOVEMENTS)

    assert "deleted order" in words(page)
    assert str(order.pk) not in text(page)


def test_the_details_of_an_event_have_links(
    staff: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    customer = make_customer(email="ada@example.com")
    order = place((make_product(), 1), customer=customer)
    event = Event.objects.get(object_id=order.id, type="order.placed")

    with django_assert_max_num_queries(8):
        page = staff.get(f"{EVENTS}{event.pk}/change/")

    details = text(page).partition('<dl class="bo-summary">')[2].partition("</dl>")[0]
    assert f'/admin/users/user/{customer.pk}/change/">ada@example.com</a>' in details
    assert f'{ORDERS}{order.pk}/change/">{order.number}</a>' in details
    assert "{" not in details


def test_the_details_of_a_change_show_old_and_new_values(staff: Client) -> None:
    product = make_product(name="Mug")
    changed = {
        "sku": product.sku,
        "name": "<b>Cup</b>",
        "price": product.price,
        "currency": product.currency,
        "low_stock_threshold": product.low_stock_threshold,
        "is_active": "on",
        "expected_version": product.version,
    }
    staff.post(f"/admin/inventory/product/{product.pk}/change/", changed)
    event = Event.objects.get(object_id=product.id, type="product.changed")

    page = text(staff.get(f"{EVENTS}{event.pk}/change/"))

    assert "Mug → &lt;b&gt;Cup&lt;/b&gt;" in page


def test_an_unknown_payment_has_an_explanation(staff: Client) -> None:
    order = place((make_product(), 1), token="tok_success")
    Payment.objects.filter(order_id=order.pk).update(status="unknown")
    Order.objects.filter(pk=order.pk).update(payment_status="unknown")

    payment = words(staff.get(f"{PAYMENTS}{payment_of(order).pk}/change/"))
    page = words(staff.get(f"{ORDERS}{order.pk}/change/"))

    assert "the customer may have been charged" in payment
    assert "Don't ask the customer to pay again" in page
    assert "Awaiting payment" in page


def test_every_status_of_a_refund_is_explained(staff: Client) -> None:
    order = paid_order((make_product(), 1))
    refund = Refund.objects.create(
        payment=payment_of(order), order_id=order.pk, amount=1, currency="EUR", reason="late"
    )

    for status in RefundStatus:
        Refund.objects.update(status=status)
        page = words(staff.get(f"/admin/payments/refund/{refund.pk}/change/"))
        assert str(REFUND_HELP[status]) in page
        assert order.number in page


def test_the_ship_page_lists_the_items_to_ship(staff: Client) -> None:
    order = paid_order((make_product(name="Mug", sku="MUG-1"), 3))

    assert "3 × Mug (MUG-1)" in words(staff.get(f"{ORDERS}{order.pk}/ship/"))


def test_the_page_of_an_action_loads_no_script_that_needs_djangos_catalogue(staff: Client) -> None:
    order = paid_order((make_product(), 1))

    page = text(staff.get(f"{ORDERS}{order.pk}/cancel/"))

    assert "admin/js/core.js" not in page
    assert "admin/js/actions.js" not in page


def test_a_long_list_is_counted_no_further_than_its_bound(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedPaginator, "bound", 3)
    mug = make_product(stock=10)
    for _ in range(3):
        place((mug, 1))
    exact = words(staff.get(ORDERS))
    place((mug, 1))

    assert "3 orders" in exact
    assert "3+ orders" in words(staff.get(ORDERS))


def test_an_empty_list_differs_from_a_search_without_results(staff: Client) -> None:
    assert "No orders yet" in words(staff.get(ORDERS))
    assert "No results" in words(staff.get(ORDERS, {"q": "X"}))


def test_titles_keep_names_unchanged_and_leave_out_the_app(staff: Client) -> None:
    user = make_customer(email="ada@example.com")

    title = text(staff.get(f"/admin/users/user/{user.pk}/change/")).partition("<h1")[2]

    shown = re.sub(r"<[^>]*>", " ", "<h1" + title.partition("</h1>")[0]).split()
    assert "ada@example.com" in shown
    assert shown.count("Users") == 1


def test_a_user_without_permission_gets_a_page_with_a_link_back() -> None:
    client = Client()
    client.force_login(make_staff(permissions=()))

    refused = client.get(ORDERS)

    assert refused.status_code == 403
    assert "You don't have permission" in words(refused)
    assert 'href="/admin/"' in text(refused)


def test_an_unknown_url_gets_a_page_with_a_link_back(staff: Client) -> None:
    missing = staff.get("/admin/nothing/here/")

    assert missing.status_code == 404
    assert "Page not found" in text(missing)
    assert 'href="/admin/"' in text(missing)


def test_a_form_from_before_another_login_gets_an_explanation(staff: Client) -> None:
    client = Client(enforce_csrf_checks=True)

    refused = client.post("/admin/login/", {"username": "x", "password": "y"})

    assert refused.status_code == 403
    assert "Nothing was changed" in text(refused)


def test_the_link_of_every_visible_figure_opens(staff: Client) -> None:
    client = Client()
    client.force_login(make_staff(permissions=["orders.view", "reports.view"]))
    order = place((make_product(), 1))

    links = re.findall(r'bo-figure[^"]*" href="([^"]+)"', text(client.get("/admin/")))

    assert len(links) == 5
    pages = [client.get(unescape(link)) for link in links]
    assert [page.status_code for page in pages] == [200] * 5
    assert order.number in words(pages[0])
