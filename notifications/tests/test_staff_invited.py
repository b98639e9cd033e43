"""The mail with the link by which a new member of the staff sets the password."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from django.db import transaction
from django.test import Client
from pytest_django import Settings

from inventory.events import StockRanLow
from notifications.models import Channel, Kind, Notification
from notifications.operations.sending import MailSender
from notifications.operations.subscriptions import queue_notifications
from notifications.staff_messages import PASSWORD_LINK
from notifications.tests.mail_senders import send_all
from notifications.tests.mail_server import MailServer
from oms.core import clock
from oms.core.actor import system
from oms.core.ids import new_id
from oms.events.models import Event
from oms.events.relay import RecordedEvent, recorded
from oms.testing.factories import actor_for, make_customer, make_staff
from oms.users.models import User
from oms.users.operations.staff_members import add_staff_member

pytestmark = pytest.mark.django_db


@pytest.fixture
def invited(db: None) -> User:
    """A new member of the staff, whose mail is queued."""
    member = add_staff_member(
        actor=actor_for(make_staff()), email="sam@example.com", full_name="Sam Keller"
    )
    with transaction.atomic():
        queue_notifications([recorded(Event.objects.get(type="user.invited"))])
    return member


def test_a_new_member_gets_a_mail_and_nothing_else(invited: User, settings: Settings) -> None:
    [mail] = Notification.objects.all()

    assert (mail.kind, mail.channel, mail.email) == (
        Kind.STAFF_INVITED,
        Channel.EMAIL,
        "sam@example.com",
    )
    assert mail.recipient_id == invited.id
    assert mail.subject == f"Set your password for {settings.SHOP_NAME}"
    assert "Hello Sam," in mail.body
    assert "works once, and for 3 days" in mail.body


def test_the_link_of_the_mail_opens_the_page_and_is_in_no_row(
    invited: User, mail_server: MailServer, settings: Settings
) -> None:
    settings.PUBLIC_URL = "https://shop.example.com"

    assert send_all(MailSender()) == 1

    [message] = mail_server.messages
    text, html = (part.get_content() for part in message.iter_parts())
    [link] = re.findall(r"https://shop\.example\.com/admin/password\S+", text)
    assert f'href="{link}"' in html
    assert PASSWORD_LINK not in text + html
    address = urlsplit(link)
    assert Client().get(f"{address.path}?{address.query}").status_code == 200
    secret = address.query.partition(".")[2]
    row = Notification.objects.get()
    assert PASSWORD_LINK in row.body
    assert PASSWORD_LINK in row.body_html
    assert secret not in row.body + row.body_html
    assert not Event.objects.filter(data__icontains=secret).exists()
    browser = Client()
    browser.force_login(make_staff(is_superuser=True))
    page = browser.get(f"/admin/notifications/notification/{row.pk}/change/").content.decode()
    assert "Welcome to the team" in page
    assert secret not in page


def test_an_invitation_that_is_handled_twice_is_mailed_once(invited: User) -> None:
    event = Event.objects.get(type="user.invited")
    with transaction.atomic():
        queue_notifications([recorded(event), recorded(event)])

    assert Notification.objects.count() == 1


def test_low_stock_is_mailed_to_staff_who_may_view_the_stock() -> None:
    keeper = make_staff(permissions=["stock.view"])
    boss = make_staff(is_superuser=True)
    make_staff(permissions=["orders.view"])
    make_staff(is_active=False)
    make_customer().user_permissions.set(keeper.user_permissions.all())
    fact = StockRanLow(product_id=new_id(), sku="S", name="Cup", available=1, threshold=5)
    event = RecordedEvent(id=new_id(), fact=fact, actor=system("tests"), occurred_at=clock.now())

    with transaction.atomic():
        queue_notifications([event])

    mailed = Notification.objects.values_list("email", flat=True)
    assert sorted(mailed) == sorted([keeper.email, boss.email])
