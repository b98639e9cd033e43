"""Every topic for every caller, by both doors: what each gets, and nothing more."""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import StrEnum
from typing import Any, NamedTuple

import httpx
import pytest
from django.db import transaction
from websockets import ConnectionClosed

from notifications.operations.subscriptions import queue_notifications
from oms.core.permissions import Permission
from oms.events.models import Event
from oms.events.relay import recorded
from oms.streams.feed import FeedScope, latest_position
from oms.streams.tickets import issue_ticket
from oms.streams.topics import Topic
from oms.testing.factories import actor_for, make_customer, make_product, make_staff, tokens_for
from oms.testing.ordering import paid_order, shipped_order
from oms.testing.streams import StreamClient, StreamRefused, streamed, web_socket
from oms.users.models import Session, User
from oms.users.operations.accounts import change_user
from oms.users.operations.sessions import revoke_session
from orders.operations.returns import ReturnedItem, request_return

pytestmark = pytest.mark.django_db(transaction=True)


class Caller(StrEnum):
    NOBODY = "nobody"
    BUYER = "the buyer"
    OTHER = "another customer"
    STAFF = "staff"
    STAFF_OF_ORDERS = "staff who may see orders alone"
    STAFF_OF_NOTHING = "staff without a permission"
    SIGNED_OUT = "a buyer whose session was revoked"
    INACTIVE = "a buyer whose account was deactivated"


class World(NamedTuple):
    """What has happened after the position `start`."""

    start: str
    buyer: User
    products: frozenset[str]


REFUSALS = {401, 403}

# Whom the topic refuses; and whose events the others get, all of them if it says so.
REFUSED = {
    Topic.ORDERS: {
        *(Caller.NOBODY, Caller.SIGNED_OUT, Caller.INACTIVE),
        Caller.STAFF_OF_NOTHING,
    },
    Topic.NOTIFICATIONS: {Caller.NOBODY, Caller.SIGNED_OUT, Caller.INACTIVE},
    # Wrong credentials are never taken for none.
    Topic.INVENTORY: {Caller.SIGNED_OUT, Caller.INACTIVE},
}


def customer_of(event: Event) -> str:
    return str(event.data.get("customer_id"))


def expected(topic: Topic, caller: Caller, *, user: User | None, world: World) -> set[str]:
    """The ids of the events, or the products, that the caller is to get."""
    if topic is Topic.INVENTORY:
        return set(world.products)
    events = Event.objects.filter(id__gt=world.start)
    if topic is Topic.NOTIFICATIONS:
        chosen = [event for event in events if event.type == "notification.created"]
    elif caller in KINDS:
        return {str(event.id) for event in events if event.type.startswith(KINDS[caller])}
    else:
        chosen = [event for event in events if event.type.startswith(("order.", "return."))]
    assert user is not None
    return {str(event.id) for event in chosen if customer_of(event) == str(user.id)}


KINDS = {
    Caller.STAFF: ("order.", "return.", "payment.", "refund."),
    Caller.STAFF_OF_ORDERS: ("order.", "return."),
}


@pytest.fixture
def world() -> World:
    buyer = make_customer()
    products = [make_product(stock=5) for _ in range(2)]
    # The stock of earlier than half a minute before would not be sent.
    start = latest_position(FeedScope(types=()))
    order = shipped_order((products[0], 1), customer=buyer)
    [item] = order.items.all()
    returned = ReturnedItem(order_item_id=item.id, quantity=1, reason="Too small.")
    request_return(actor=actor_for(buyer), order_id=order.id, items=[returned])
    paid_order((products[1], 1), customer=make_customer())
    with transaction.atomic():
        queue_notifications([recorded(event) for event in Event.objects.filter(id__gt=start)])
    assert Event.objects.filter(type__startswith="return.").exists()
    return World(str(start), buyer, frozenset(str(each.id) for each in products))


def account_for(caller: Caller, world: World) -> tuple[User | None, str]:
    """The caller's account and access token."""
    match caller:
        case Caller.NOBODY:
            return None, ""
        case Caller.OTHER:
            user = make_customer()
        case Caller.STAFF:
            user = make_staff()
        case Caller.STAFF_OF_ORDERS:
            user = make_staff(permissions=[Permission.ORDERS_VIEW])
        case Caller.STAFF_OF_NOTHING:
            user = make_staff(permissions=[])
        case _:
            user = world.buyer
    pair = tokens_for(user)
    if caller is Caller.SIGNED_OUT:
        revoke_session(actor=actor_for(user), refresh=pair.refresh)
    elif caller is Caller.INACTIVE:
        admin = actor_for(make_staff(is_superuser=True))
        change_user(actor=admin, user_id=user.id, values={"is_active": False})
    return user, pair.access


def by_stream(url: str, topic: Topic, *, token: str, start: str, number: int) -> Collection[str]:
    """What a stream gives: the ids of events, or products; () if it is refused."""
    return streamed_subjects(url, topic, number=number, token=token, after=start)


def by_ticket(url: str, topic: Topic, *, token: str, start: str, number: int) -> Collection[str]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = httpx.post(f"{url}/api/v1/stream/tickets", headers=headers)
    if answer.status_code == 401:
        return ()
    ticket = answer.json()["ticket"]
    return streamed_subjects(url, topic, number=number, ticket=ticket, after=start)


def streamed_subjects(
    url: str, topic: Topic, *, number: int, token: str = "", **query: str
) -> Collection[str]:
    try:
        with streamed(url, topic.value, token=token, headers=None, **query) as stream:
            return received(stream, number=number)
    except StreamRefused as refusal:
        if refusal.status not in REFUSALS:
            raise
        return ()


def received(stream: StreamClient, *, number: int) -> Collection[str]:
    events = [stream.next() for _ in range(number)]
    assert stream.is_silent()
    return [subject_of(event.id, event.data) for event in events]


def subject_of(id: str, data: dict[str, Any]) -> str:
    """The event's id, or the product of a state of the stock."""
    return str(data["product_id"]) if "sku" in data else id


def by_web_socket(
    url: str, topic: Topic, *, token: str, start: str, number: int
) -> Collection[str]:
    with web_socket(url, token=token) as socket:
        try:
            answer = socket.ask(type="subscribe", topics=[topic], after=start)
            is_refused = answer["type"] == "error"
        except ConnectionClosed:  # before it could ask
            is_refused = True
        if is_refused:
            assert socket.close_code() in {4000 + status for status in REFUSALS}
            return ()
        events = [socket.receive() for _ in range(number)]
        assert socket.is_silent()
    return [subject_of(event["id"], event["data"]) for event in events]


@pytest.mark.parametrize("door", [by_stream, by_ticket, by_web_socket])
@pytest.mark.parametrize("caller", Caller)
@pytest.mark.parametrize("topic", Topic)
def test_what_each_caller_gets(
    url: str,
    world: World,
    topic: Topic,
    caller: Caller,
    door: Callable[..., Collection[str]],
) -> None:
    user, token = account_for(caller, world)
    is_refused = caller in REFUSED[topic] or (door is by_ticket and caller is Caller.NOBODY)
    right = set() if is_refused else expected(topic, caller, user=user, world=world)
    got = door(url, topic, token=token, start=world.start, number=len(right))
    assert sorted(got) == sorted(right)
    # Of the others nothing has happened: what they must not get is the buyer's.
    if caller is Caller.BUYER or (topic is Topic.ORDERS and caller in KINDS):
        assert right


@pytest.mark.parametrize("topic", [Topic.ORDERS, Topic.NOTIFICATIONS])
def test_a_ticket_is_its_owner_s(url: str, world: World, topic: Topic) -> None:
    """A ticket of another customer shows nothing of the buyer's; one of the buyer all."""
    for user, is_empty in ((make_customer(), True), (world.buyer, False)):
        tokens_for(user)
        session = Session.objects.get(user=user)
        ticket = issue_ticket(user_id=user.id, session_id=session.id)
        with streamed(url, topic.value, after=world.start, ticket=ticket) as stream:
            assert stream.is_silent() is is_empty
