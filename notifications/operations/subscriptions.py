"""The consumer of the event log that queues notifications."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.utils import translation

from inventory.events import ProductBecameAvailable, StockRanLow
from inventory.operations.stock_alerts import take_stock_alerts
from notifications.after_sales_messages import AFTER_SALES_MESSAGES
from notifications.events import NotificationCreated
from notifications.mail import mail_domain
from notifications.messages import (
    ORDER_MESSAGES,
    Message,
    back_in_stock_message,
)
from notifications.models import Channel, DeliveryState, Kind, Notification
from notifications.rendering import render_mail
from notifications.staff_messages import exception_message, low_stock_message, staff_invited_message
from oms.core import clock
from oms.core.actor import system
from oms.core.ids import first_id_at, new_id
from oms.core.permissions import Permission
from oms.db.bulk_writes import insert_rows
from oms.db.pipeline import execute, rows_of
from oms.db.transactions import transaction_required
from oms.events.publishing import publish
from oms.events.relay import RecordedEvent
from oms.events.types import DomainEvent
from oms.exceptions.events import ExceptionRaised
from oms.exceptions.kinds import ExceptionKind, rules_of
from oms.queue.wakeups import wake_on_commit
from oms.users.events import StaffInvited
from oms.users.models import User
from oms.users.queries import staff_with
from orders.events import OrderEdited, OrderEvent, ShipmentCorrected, ShipmentSent
from orders.read_models import OrderSummary, shipment_lines_of, summaries_of

# The Celery task that sends due mail.
SEND_TASK = "notifications.drain"

_ORDER_MESSAGES = {**ORDER_MESSAGES, **AFTER_SALES_MESSAGES}
EVENT_TYPES: tuple[type[DomainEvent], ...] = (
    *_ORDER_MESSAGES,
    StockRanLow,
    ProductBecameAvailable,
    StaffInvited,
    ExceptionRaised,
)

# Their messages list what is in the shipment.
_OF_SHIPMENT = (ShipmentSent, ShipmentCorrected)
_SUBJECT_LENGTH = 255
# For how long there is no second mail to staff about exceptions of one kind.
_QUIET = timedelta(hours=1)
# The values of a row by column.
_Row = dict[str, Any]


class _Recipient(NamedTuple):
    id: UUID
    email: str
    full_name: str


@transaction_required
def queue_notifications(events: Sequence[RecordedEvent]) -> None:
    """Insert the notifications of `events`; workers send the e-mails.

    Customers get an e-mail and an in-app notification for each event of their orders, and for a
    product that is back in stock if they asked for it; staff who may view the stock an e-mail for a
    product that is low, those who may see an exception one about it, and new staff one with a link
    to set the password. The number of statements does not depend on the number of events. An event
    that was handled before changes nothing.
    """
    # Rendering hundreds of mails leaves the transaction idle for seconds on a busy machine, with
    # nothing locked but the consumer's own offset.
    execute("SELECT set_config('idle_in_transaction_session_timeout', '60s', true)")
    with translation.override(settings.LANGUAGE_CODE):
        mails, in_app = _rows([event for event in events if isinstance(event.fact, EVENT_TYPES)])
    for rows in mails, in_app:
        if rows:
            values = [list(row.values()) for row in rows]
            insert_rows(Notification, list(rows[0]), values, skip_existing=True)
    if mails:
        wake_on_commit(SEND_TASK)
    if in_app:
        _publish_created(in_app)


def _publish_created(rows: Sequence[_Row]) -> None:
    """Publish those of the in-app notifications that were not there before."""
    ids = [row["id"] for row in rows]
    created = set(Notification.objects.filter(pk__in=ids).values_list("pk", flat=True))
    publish(
        *(
            NotificationCreated(
                notification_id=row["id"],
                customer_id=row["recipient_id"],
                order_id=row["order_id"],
                kind=row["kind"],
                subject=row["subject"],
            )
            for row in rows
            if row["id"] in created
        ),
        actor=system("notifications"),
    )


def _rows(events: Sequence[RecordedEvent]) -> tuple[list[_Row], list[_Row]]:
    """The rows of e-mails and of in-app notifications."""
    order_events = [event.fact for event in events if isinstance(event.fact, OrderEvent)]
    orders = summaries_of({event.order_id for event in order_events})
    shipments = shipment_lines_of(
        {event.shipment_id for event in order_events if isinstance(event, _OF_SHIPMENT)}
    )
    invited = [event.fact.user_id for event in events if isinstance(event.fact, StaffInvited)]
    back = {
        event.fact.product_id for event in events if isinstance(event.fact, ProductBecameAvailable)
    }
    alerts = take_stock_alerts(back) if back else {}
    ids = {
        *invited,
        *(event.customer_id for event in order_events),
        *(customer_id for customers in alerts.values() for customer_id in customers),
    }
    people = {person.id: person for person in _recipients(User.objects.filter(pk__in=ids))}
    staff = []
    if any(isinstance(event.fact, StockRanLow) for event in events):
        staff = _recipients(staff_with(Permission.STOCK_VIEW))
    now = clock.now()
    mails, in_app = _exception_mails(events, at=now), []
    for event in events:
        fact = event.fact
        if isinstance(fact, ExceptionRaised):
            continue
        if isinstance(fact, StockRanLow):
            message = low_stock_message(fact)
            mails += [
                _row(event.id, message, recipient=person, at=now) | _mail(message, recipient=person)
                for person in staff
            ]
            continue
        if isinstance(fact, StaffInvited):
            message, person = staff_invited_message(), people[fact.user_id]
            row = _row(event.id, message, recipient=person, at=now)
            mails.append(row | _mail(message, recipient=person) | {"recipient_id": person.id})
            continue
        if isinstance(fact, ProductBecameAvailable):
            message = back_in_stock_message(fact)
            for customer_id in alerts.pop(fact.product_id, ()):
                customer = people[customer_id]
                row = _row(event.id, message, recipient=customer, at=now)
                row["recipient_id"] = customer.id
                mails.append(row | _mail(message, recipient=customer))
                in_app.append(row | _in_app(message, at=now))
            continue
        assert isinstance(fact, OrderEvent)
        order = orders[fact.order_id]
        lines = shipments[fact.shipment_id] if isinstance(fact, _OF_SHIPMENT) else ()
        about = _ORDER_MESSAGES[type(fact)](fact, order, lines)
        if about is None or (isinstance(fact, OrderEdited) and not event.actor.is_staff):
            continue
        customer = people[fact.customer_id]
        row = _row(event.id, about, recipient=customer, at=now) | {
            "recipient_id": customer.id,
            "order_id": order.id,
        }
        mails.append(row | _mail(about, recipient=customer, order=order))
        in_app.append(row | _in_app(about, at=now))
    return mails, in_app


def _exception_mails(events: Sequence[RecordedEvent], *, at: datetime) -> list[_Row]:
    """One e-mail about each kind of exception to the staff who may see it, at most one an hour.

    None about mail that was given up.
    """
    raised = {
        event.fact.kind: (event.id, event.fact)
        for event in reversed(events)
        if isinstance(event.fact, ExceptionRaised) and event.fact.kind != ExceptionKind.DEAD_MAIL
    }
    if not raised:
        return []
    sent = Notification.objects.filter(kind=Kind.EXCEPTION, pk__gte=first_id_at(at - _QUIET))
    subjects = set(sent.values_list("subject", flat=True))
    return [
        _row(id, message, recipient=person, at=at) | _mail(message, recipient=person)
        for kind, (id, fact) in raised.items()
        if (message := exception_message(fact)).subject not in subjects
        for person in _recipients(staff_with(rules_of(kind).permission))
    ]


def _recipients(users: QuerySet[User]) -> list[_Recipient]:
    return rows_of(_Recipient, users.order_by("id"))


def _row(event_id: UUID, message: Message, *, recipient: _Recipient, at: datetime) -> _Row:
    """The columns that are the same for both channels."""
    return {
        "event_id": event_id,
        "recipient_id": None,
        "order_id": None,
        "email": recipient.email,
        "kind": message.kind.value,
        # One line, as a header must be.
        "subject": " ".join(message.subject.split())[:_SUBJECT_LENGTH],
        "created_at": at,
        "attempts": 0,
        "fencing_token": 0,
        "last_error": "",
    }


def _mail(message: Message, *, recipient: _Recipient, order: OrderSummary | None = None) -> _Row:
    """The columns of an e-mail. It is due at the database's time, the default of the column."""
    name, *_ = recipient.full_name.split(maxsplit=1) or [""]
    text, html = render_mail(message, recipient_name=name, order=order)
    id = new_id()
    return {
        "id": id,
        "channel": Channel.EMAIL.value,
        "body": text,
        "body_html": html,
        "message_id": f"<{id}@{mail_domain(settings.DEFAULT_FROM_EMAIL)}>",
        "state": DeliveryState.QUEUED.value,
    }


def _in_app(message: Message, *, at: datetime) -> _Row:
    """The columns of an in-app notification."""
    return {
        "id": new_id(),
        "channel": Channel.IN_APP.value,
        "body": "\n".join(message.paragraphs),
        "body_html": "",
        "message_id": "",
        "state": DeliveryState.SENT.value,
        "sent_at": at,
        "next_attempt_at": None,
    }
