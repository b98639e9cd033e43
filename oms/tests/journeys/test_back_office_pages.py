"""Every page of the back office opens, and failed work can be retried."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import DjangoAssertNumQueries

from notifications.models import Notification
from oms.backoffice.admins import ReadOnlyAdmin
from oms.core import clock
from oms.core.ids import new_id
from oms.events.models import DeadLetter, Event
from oms.testing.complete_shop import make_complete_shop
from oms.testing.factories import make_product, make_staff, permission_rows
from oms.testing.ordering import paid_order, payment_of, place
from orders.models import Order
from payments.models import Payment, Refund
from reports.models import DailyReport
from reports.operations.reporting import missing_reports

pytestmark = pytest.mark.django_db

admin.autodiscover()  # as the URLs do, which are loaded with the first request
LISTS: dict[str, Any] = {
    reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"): model
    for model in admin.site._registry
}


@pytest.fixture
def shop() -> Order:
    """A shop with at least one row of every kind; its shipped order."""
    return make_complete_shop().order


def test_every_list_its_search_and_its_first_row_open(staff: Client, shop: Order) -> None:
    for url, model in LISTS.items():
        assert staff.get(url).status_code == 200, url
        for term in ("x", str(shop.pk), "a@b", "'\"\\", "ünï", "\0"):
            query = dict.fromkeys(("q", "category", "type", "actor_kind", "stock", "p", "o"), term)
            assert staff.get(url, query).status_code in (200, 302), (url, term)
        row = model._default_manager.first()
        assert row is not None, f"The shop has no {model.__name__}."
        assert staff.get(f"{url}{row.pk}/change/").status_code == 200, url


def test_no_list_opens_without_its_permission() -> None:
    client = Client()
    client.force_login(make_staff(permissions=()))

    assert {url: client.get(url).status_code for url in LISTS} == dict.fromkeys(LISTS, 403)


def test_an_unknown_id_redirects(staff: Client) -> None:
    for url in LISTS:
        for id in (str(new_id()), "nothing", "0"):
            assert staff.get(f"{url}{id}/change/").status_code == 302, (url, id)


def test_no_forged_form_deletes_a_row_or_changes_a_read_only_one(
    staff: Client, shop: Order
) -> None:
    for url, model in LISTS.items():
        row = model._default_manager.first()
        before = model._default_manager.filter(pk=row.pk).values().get()
        forged = {field.name: "1" for field in model._meta.fields} | {"_save": "1", "post": "yes"}

        pages = [f"{row.pk}/delete/"]
        if isinstance(admin.site._registry[model], ReadOnlyAdmin):
            pages += [f"{row.pk}/change/", "add/"]
        for page in pages:
            assert staff.post(f"{url}{page}", forged).status_code == 403, (url, page)
        form = {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "form-0-id": str(row.pk)}
        selected = {"action": "delete_selected", "_selected_action": str(row.pk)}
        staff.post(url, forged | form | selected)

        assert model._default_manager.filter(pk=row.pk).values().get() == before, url


def test_the_dashboard_shows_figures_in_few_queries(
    staff: Client, shop: Order, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(20):
        html = staff.get("/admin/").content.decode()

    total = f"{shop.total} EUR"
    assert shop.number in html
    for figure in (
        "Orders today",
        "Net sales today",
        total,
        "Awaiting shipment",
        "Undelivered e-mail",
    ):
        assert figure in html


def test_the_dashboard_counts_orders_that_failed_to_expire(staff: Client, shop: Order) -> None:
    assert attention(staff)["Orders that failed to expire"] == "0"
    Order.objects.filter(pk=shop.pk).update(
        status="pending", confirmed_at=None, expires_at=clock.now() - timedelta(minutes=41)
    )

    assert attention(staff)["Orders that failed to expire"] == "1"


def attention(client: Client) -> dict[str, str]:
    """The numbers of the dashboard's list of work that needs attention, by their titles."""
    html = client.get("/admin/").content.decode()
    table = html.partition('id="attention"')[2].partition("</table>")[0]
    rows = re.findall(r">([^<>]+)</a></td><td class=\"bo-number\">([^<]+)</td>", table)
    return dict(rows)


def test_the_dashboard_counts_the_work_that_was_given_up_and_staff_retry_it(
    staff: Client, shop: Order
) -> None:
    payment = Payment.objects.filter(order_id=shop.pk).latest("id")
    Payment.objects.filter(pk=payment.pk).update(
        status="unknown", attempts=60, captured_amount=0, refunded_amount=0, next_attempt_at=None
    )
    Refund.objects.update(status="unknown", attempts=60, next_attempt_at=None)
    DailyReport.objects.all().delete()
    Order.objects.update(placed_at=clock.now() - timedelta(days=3))
    days = len(missing_reports(now=clock.now()))

    numbers = attention(staff)

    refunds = Refund.objects.count()
    assert numbers == {
        "Payments without an outcome": "1",
        "Declined captures and voids": "0",
        "Refunds without an outcome": str(refunds),
        "Undelivered e-mail": str(Notification.objects.filter(state="dead").count()),
        "Failed events": "1",
        "Event consumers that are behind": "0",
        "Orders that failed to expire": "0",
        "Receipts that could not be booked": "0",
        "Daily reports that failed": str(days),
    }
    assert days > 0
    page = staff.get("/admin/payments/payment/?given_up=yes").content.decode()
    assert page.count(f"/admin/payments/payment/{payment.pk}/change/") > 0
    call_command("retry_given_up", "payments", "refunds", "mail", "events")
    assert set(attention(staff).values()) == {"0", str(days)}


def test_the_dashboard_groups_the_digits_of_numbers(staff: Client, shop: Order) -> None:
    DailyReport.objects.all().delete()  # the shop has one of today too
    Order.objects.bulk_create(
        Order(**{**columns, "id": new_id(), "number": f"20261121-{number:06}"})
        for columns in Order.objects.filter(pk=shop.pk).values()
        for number in range(998)
    )

    html = staff.get("/admin/").content.decode()

    assert "1,000 confirmed" in html


def test_the_dashboard_shows_only_what_the_user_may_see(shop: Order) -> None:
    user = make_staff(permissions=())
    client = Client()
    client.force_login(user)

    assert "have access to anything yet" in client.get("/admin/").content.decode()
    user.user_permissions.add(*permission_rows(["stock.view"]))
    html = client.get("/admin/").content.decode()

    assert "Low stock" in html
    assert "Orders today" not in html
    assert shop.number not in html
    assert reverse("admin:orders_order_changelist") not in html


def test_undelivered_mail_is_resent_once(staff: Client, shop: Order) -> None:
    mail = Notification.objects.get()
    page = f"/admin/notifications/notification/{mail.pk}/retry/"

    staff.post(page)
    again = staff.post(page, follow=True)

    mail.refresh_from_db()
    assert (mail.state, mail.attempts) == ("queued", 0)
    assert mail.next_attempt_at is not None
    assert "isn&#x27;t available" in again.content.decode()
    assert Event.objects.filter(type="notification.retried").count() == 1


def test_an_unknown_payment_is_retried_and_a_captured_one_is_not(staff: Client) -> None:
    unknown = place((make_product(), 1), token="tok_success")
    settled = paid_order((make_product(), 1))
    Payment.objects.filter(order_id=unknown.pk).update(
        status="unknown", attempts=60, next_attempt_at=None
    )

    for order in (unknown, settled):
        staff.post(f"/admin/payments/payment/{payment_of(order).pk}/look_up_again/")

    assert payment_of(unknown).attempts == 0
    assert payment_of(unknown).next_attempt_at is not None
    assert payment_of(settled).next_attempt_at is None


def test_a_failed_event_is_delivered_again(staff: Client, shop: Order) -> None:
    dead_letter = DeadLetter.objects.get()

    staff.post(f"/admin/events/deadletter/{dead_letter.pk}/retry/")

    dead_letter.refresh_from_db()
    assert dead_letter.attempts == 0
    assert dead_letter.next_attempt_at is not None


def test_the_token_of_a_payment_is_shown_nowhere(staff: Client) -> None:
    order = place((make_product(), 1), token="tok_timeout_success")
    payment = payment_of(order)

    for url in (
        f"/admin/payments/payment/{payment.pk}/change/",
        "/admin/payments/payment/",
        f"/admin/orders/order/{order.pk}/change/",
    ):
        assert "tok_timeout_success" not in staff.get(url).content.decode()


def test_times_of_day_are_those_of_the_business(staff: Client, settings: Any) -> None:
    order = place((make_product(), 1))
    event = Event.objects.get(object_id=order.pk, type="order.placed")
    local = order.placed_at.astimezone(settings.BUSINESS_TIME_ZONE)
    assert local.utcoffset()

    for url in (
        f"/admin/orders/order/{order.pk}/change/",
        f"/admin/events/event/{event.pk}/change/",
    ):
        html = staff.get(url).content.decode()
        assert f"{local.day} {local:%b %Y, %H:%M}" in html


def test_the_back_office_is_found_without_a_trailing_slash(client: Client) -> None:
    response = client.get("/admin")

    assert response.status_code == 302
    assert response.headers["Location"] == "/admin/"
