"""Streams end with their session, and with the rights that it had, event or not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from oms.core.clock import now
from oms.core.permissions import Permission
from oms.testing.factories import actor_for, make_customer, make_product, make_staff, tokens_for
from oms.testing.ordering import place
from oms.testing.streams import streamed, web_socket
from oms.users.models import Session, User
from oms.users.operations.accounts import change_user
from oms.users.operations.sessions import revoke_session

pytestmark = pytest.mark.django_db(transaction=True)

# It is looked for every five seconds.
SECONDS = 15


@pytest.fixture
def buyer() -> User:
    return make_customer()


def back_office(user: User) -> tuple[Client, str]:
    """A browser in which the user is signed in, and a ticket for its stream."""
    browser = Client()
    browser.force_login(user)
    answer = browser.post("/admin/stream/ticket/")
    assert answer.status_code == 201
    return browser, answer.json()["ticket"]


def test_a_stream_ends_with_its_session(url: str, buyer: User) -> None:
    pair = tokens_for(buyer)
    with streamed(url, "orders", token=pair.access) as stream:
        revoke_session(actor=actor_for(buyer), refresh=pair.refresh)
        [ended] = stream.rest(seconds=5)
        assert (ended.event, ended.data) == ("stream.ended", {"code": "session_ended"})


def test_an_expired_session_ends_its_stream_without_an_event(url: str, buyer: User) -> None:
    with streamed(url, "orders", token=tokens_for(buyer).access) as stream:
        Session.objects.update(expires_at=now() - timedelta(seconds=1))
        [ended] = stream.rest(seconds=SECONDS)
        assert ended.event == "stream.ended"


def test_who_is_changed_by_staff_has_to_connect_again(url: str) -> None:
    staff, boss = make_staff(), make_staff(is_superuser=True)
    with streamed(url, "orders", token=tokens_for(staff).access) as stream:
        change_user(actor=actor_for(boss), user_id=staff.id, values={"is_staff": False})
        assert stream.rest(seconds=5) == []


def test_a_stream_of_the_back_office_ends_with_the_logout(url: str) -> None:
    staff = make_staff(permissions=[Permission.ORDERS_VIEW])
    browser, ticket = back_office(staff)
    _, of_another = back_office(staff)
    with (
        streamed(url, "orders", ticket=ticket) as stream,
        streamed(url, "orders", ticket=of_another) as other,
    ):
        order = place((make_product(), 1))
        assert stream.next().data["order_id"] == str(order.id)
        browser.logout()
        [ended] = stream.rest(seconds=SECONDS)
        assert ended.event == "stream.ended"
        assert other.next().data["order_id"] == str(order.id)
        assert other.is_silent()


def test_without_the_permission_staff_follow_orders_no_longer(url: str) -> None:
    """However it was taken: here without an event."""
    api, office = (make_staff(permissions=[Permission.ORDERS_VIEW]) for _ in range(2))
    _, ticket = back_office(office)
    with (
        streamed(url, "orders", token=tokens_for(api).access) as by_token,
        streamed(url, "orders", ticket=ticket) as by_ticket,
        web_socket(url, token=tokens_for(api).access) as socket,
    ):
        assert socket.ask(type="subscribe", topics=["orders"])["type"] == "subscribed"
        for user in (api, office):
            user.user_permissions.clear()
        assert by_token.rest(seconds=SECONDS) == by_ticket.rest(seconds=SECONDS) == []
        assert socket.close_code() == 1012


def test_a_deactivated_account_follows_nothing(url: str, buyer: User) -> None:
    staff = make_staff()
    _, ticket = back_office(staff)
    with (
        streamed(url, "orders", token=tokens_for(buyer).access) as by_token,
        streamed(url, "orders", ticket=ticket) as by_ticket,
    ):
        User.objects.update(is_active=False)
        for stream in (by_token, by_ticket):
            [ended] = stream.rest(seconds=SECONDS)
            assert ended.event == "stream.ended"
