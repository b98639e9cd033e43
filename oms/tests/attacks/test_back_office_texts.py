"""What people wrote stays text: in forms, mails, spreadsheets and JSON. Pages: see the browser."""

from __future__ import annotations

import csv
import io
from email import message_from_bytes, policy
from html.parser import HTMLParser
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.mail import BadHeaderError
from django.db import transaction
from django.test import Client

from inventory.models import Location, Product
from notifications.mail import compose_mail
from notifications.models import Notification
from notifications.operations.subscriptions import queue_notifications
from oms.events.models import Event
from oms.events.relay import recorded
from oms.testing.complete_shop import CompleteShop, make_complete_shop
from oms.testing.factories import api_client, make_product, make_staff
from oms.testing.ordering import ADDRESS
from oms.tests.attacks.hostile import HOSTILE
from oms.users.models import User
from orders.models import Order

pytestmark = pytest.mark.django_db

TWO_LINES = "Cup\r\nBcc: eve@example.com"


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(make_staff(email="admin@example.com", is_superuser=True))
    return client


@pytest.fixture
def shop() -> CompleteShop:
    return make_complete_shop(text=HOSTILE, address={**ADDRESS, "name": HOSTILE, "line1": HOSTILE})


@pytest.mark.parametrize("text", [TWO_LINES, "Cup\0", "Cup\x1b[2J", "Cu\u0085p"])
@pytest.mark.parametrize(
    ("path", "fields", "model"),
    [
        (
            "inventory/product",
            {"sku": "S", "name": "", "price": "1", "currency": "EUR", "low_stock_threshold": "1"}
            | {"initial_stock": "0"},
            Product,
        ),
        ("inventory/location", {"code": "c", "name": "", "priority": "9"}, Location),
        ("auth/group", {"name": ""}, Group),
    ],
)
def test_a_name_has_one_line_and_no_control_characters(
    staff: Client, path: str, fields: dict[str, str], model: Any, text: str
) -> None:
    before = model.objects.count()

    refused = staff.post(f"/admin/{path}/add/", {**fields, "name": text})
    accepted = staff.post(f"/admin/{path}/add/", {**fields, "name": "Cup"})

    assert refused.status_code == 200
    assert list(refused.context["adminform"].form.errors) == ["name"]
    assert accepted.status_code == 302
    assert model.objects.count() == before + 1


def test_an_action_refuses_them_too(staff: Client, shop: CompleteShop) -> None:
    answer = staff.post(
        f"/admin/orders/order/{shop.waiting_order.pk}/ship/",
        {"carrier": "DHL", "tracking_number": TWO_LINES},
    )

    assert list(answer.context["form"].errors) == ["tracking_number"]
    assert Order.objects.get(pk=shop.waiting_order.pk).status == "confirmed"


def _mails() -> list[Notification]:
    """One of each kind that the events of the shop lead to."""
    Notification.objects.all().delete()
    with transaction.atomic():
        queue_notifications([recorded(event) for event in Event.objects.order_by("position")])
    return list(Notification.objects.filter(channel="email"))


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def test_mails_show_hostile_texts_and_run_none(staff: Client, shop: CompleteShop) -> None:
    Product.objects.filter(pk=shop.product.pk).update(low_stock_threshold=3)
    adjusted = staff.post(
        f"/admin/inventory/product/{shop.product.pk}/adjust/",
        {
            "reason": "damaged",
            "location": Location.objects.get(is_default=True).code,
            "delta": "-3",
            "note": HOSTILE,
        },
    )
    assert adjusted.status_code == 302
    kinds = set()

    for notification in _mails():
        mail: Any = message_from_bytes(
            compose_mail(notification).message().as_bytes(), policy=policy.default
        )
        assert set(mail.keys()) <= {
            *("Content-Type", "MIME-Version", "Subject", "From", "To", "Date", "Message-ID"),
            *("Auto-Submitted", "List-Id", "References"),
        }
        assert mail["To"].addresses[0].addr_spec == notification.email
        tags = _Tags()
        tags.feed(mail.get_body(("html",)).get_content())
        assert not tags.names & {"script", "img"}
        assert tags.handlers == []
        # Nothing of it was evaluated as a template.
        assert "49" not in notification.subject
        if "onerror" in notification.body:
            assert HOSTILE in notification.body.replace("\n", " ")
            kinds.add(notification.kind)

    assert {"order_placed", "order_paid", "low_stock"} <= kinds


def test_a_line_break_in_a_subject_cannot_become_a_header(shop: CompleteShop) -> None:
    """Rows from before names were checked: the mail is refused, and shown to staff as failed."""
    notification = _mails()[0]
    notification.subject = TWO_LINES

    with pytest.raises(BadHeaderError):
        compose_mail(notification).message()


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_spreadsheets_evaluate_no_cell(start: str) -> None:
    shop = make_complete_shop(text=f"{start}1+1")
    Product.objects.filter(pk=shop.product.pk).update(name=f"{start}1+1")
    day = str(shop.order.placed_at.astimezone(settings.BUSINESS_TIME_ZONE).date())

    answer = api_client(make_staff()).get(
        "/api/v1/admin/reports/daily", {"date": day}, headers={"accept": "text/csv"}
    )

    assert answer["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))
    names = {row["name"] for row in rows if row["name"]}
    assert names == {f"'{start}1+1"}


def test_json_carries_texts_unchanged_and_is_never_a_page(shop: CompleteShop) -> None:
    answer = api_client(User.objects.get(pk=shop.customer.pk)).get(
        f"/api/v1/orders/{shop.order.pk}", headers={"accept": "text/html, application/json"}
    )

    assert answer.json()["note"] == HOSTILE
    assert answer.json()["items"][0]["name"] == HOSTILE
    assert answer["Content-Type"] == "application/json"
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_a_name_may_begin_with_anything() -> None:
    """Texts are escaped where they are shown, not changed where they are stored."""
    assert Product.objects.get(pk=make_product(name=HOSTILE).pk).name == HOSTILE
