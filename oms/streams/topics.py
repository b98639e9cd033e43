"""What streams are about, and what of it each caller may see."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from uuid import UUID

from notifications.events import NotificationCreated
from oms.core.errors import NotAuthenticated
from oms.core.permissions import Permission
from oms.events.types import event_types
from oms.streams.facts import types_of_orders
from oms.streams.feed import FeedEvent, FeedScope
from oms.users.access_tokens import Account


class Topic(StrEnum):
    """What a stream can be about."""

    ORDERS = "orders"
    NOTIFICATIONS = "notifications"
    INVENTORY = "inventory"


# What staff follow besides the orders themselves.
_MONEY = ("payment", "refund")


@cache
def types_of_all_orders(*, with_payments: bool = True) -> tuple[str, ...]:
    """The types of events of orders and, unless left out, of their payments and refunds."""
    money = (type_ for type_, cls in event_types().items() if cls.object_type in _MONEY)
    return (*types_of_orders(), *(money if with_payments else ()))


@dataclass(frozen=True, kw_only=True, slots=True)
class Interest:
    """What a caller follows: `scope` is where in the log it is found, None for stock alone.

    `user_id` is the caller's, whose notifications they are. `product_id` narrows the inventory.
    """

    topics: frozenset[Topic]
    scope: FeedScope | None = None
    user_id: UUID | None = None
    product_id: UUID | None = None

    def includes(self, event: FeedEvent) -> bool:
        """Whether it includes an event of the log, which is of the customer if the scope is."""
        if self.scope is None or event.type not in self.scope.types:
            return False
        return topic_of(event) is Topic.ORDERS or event.customer_id == str(self.user_id)


def topic_of(event: FeedEvent) -> Topic:
    """What an event of the log is about."""
    is_notification = event.type == NotificationCreated.type
    return Topic.NOTIFICATIONS if is_notification else Topic.ORDERS


def interest_of(
    account: Account | None, *, topics: Collection[Topic], product_id: UUID | None
) -> Interest:
    """What the caller may follow: staff all orders, customers their own.

    Raises NotAuthenticated, and PermissionDenied for staff who may not view orders.
    """
    if account is None and not set(topics) <= {Topic.INVENTORY}:
        raise NotAuthenticated
    wanted = _shared(frozenset(topics))
    follows_all, sees_payments = False, False
    if account is not None and account.is_staff and Topic.ORDERS in wanted:
        actor = account.actor()
        actor.require(Permission.ORDERS_VIEW)
        follows_all, sees_payments = True, actor.may(Permission.PAYMENTS_VIEW)
    user_id = None if account is None else account.id
    types = _types_of(wanted, follows_all=follows_all, sees_payments=sees_payments)
    return Interest(
        topics=wanted,
        scope=FeedScope(types=types, customer_id=None if follows_all else user_id)
        if types
        else None,
        user_id=user_id,
        product_id=product_id,
    )


@cache
def _shared(topics: frozenset[Topic]) -> frozenset[Topic]:
    """One object for the thousands of streams about the same topics."""
    return topics


@cache
def _types_of(
    topics: frozenset[Topic], *, follows_all: bool, sees_payments: bool
) -> frozenset[str]:
    """The types of the events that are about the topics, of all orders or of the caller's own."""
    types: list[str] = []
    if Topic.NOTIFICATIONS in topics:
        types.append(NotificationCreated.type)
    if Topic.ORDERS in topics:
        types += (
            types_of_all_orders(with_payments=sees_payments) if follows_all else types_of_orders()
        )
    return frozenset(types)
