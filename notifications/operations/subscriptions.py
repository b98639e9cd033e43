"""The consumer of the event log that queues notifications."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.utils import translation

from notifications.mail import mail_domain
from notifications.messages import MESSAGES, Message, MessageContext, message_for
from notifications.models import Channel, DeliveryState, Notification
from notifications.rendering import render_mail
from oms.core import clock
from oms.core.ids import new_id
from oms.db.bulk_writes import insert_rows
from oms.db.pipeline import ask
from oms.db.raw_queries import rows_of
from oms.db.transactions import transaction_required
from oms.events.relay import RecordedEvent
from oms.queue.wakeups import wake_on_commit
from oms.users.models import User
from orders.events import OrderEvent, ShipmentSent
from orders.read_models import OrderSummary, shipment_lines_of, summaries_of

# The Celery task that sends due mail.
DRAIN_TASK = "notifications.drain"

EVENT_TYPES = tuple(MESSAGES)

_SUBJECT_LENGTH = 255
_COLUMNS = (
    "id",
    "event_id",
    "recipient_id",
    "email",
    "channel",
    "kind",
    "subject",
    "body",
    "body_html",
    "order_id",
    "state",
    "message_id",
    "created_at",
    "attempts",
    "fencing_token",
    "last_error",
)


class _Recipient(NamedTuple):
    id: UUID
    email: str
    full_name: str


@transaction_required
def queue_notifications(events: Sequence[RecordedEvent]) -> None:
    """Insert the notifications of `events`; workers send the e-mails.

    Customers get an e-mail and an in-app notification for each event of their orders, all active
    staff an e-mail for a product that is low on stock. The number of statements does not depend on
    the number of events. An event that was handled before changes nothing.
    """
    _allow_for_rendering()
    with translation.override(settings.LANGUAGE_CODE):
        mails, in_app = _rows([event for event in events if isinstance(event.fact, EVENT_TYPES)])
    # Mail is due at the database's time, which is the column's default.
    insert_rows(Notification, _COLUMNS, mails, skip_existing=True)
    insert_rows(Notification, (*_COLUMNS, "sent_at", "next_attempt_at"), in_app, skip_existing=True)
    if mails:
        wake_on_commit(DRAIN_TASK)


def _allow_for_rendering() -> None:
    """Rendering hundreds of mails leaves the transaction idle for seconds on a busy machine.

    All that the transaction locks is the consumer's own offset.
    """
    ask("SELECT set_config('idle_in_transaction_session_timeout', '60s', true)")


def _rows(events: Sequence[RecordedEvent]) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """The rows of e-mails, and of in-app notifications with `sent_at` and `next_attempt_at`."""
    order_events = [event.fact for event in events if isinstance(event.fact, OrderEvent)]
    orders = summaries_of({event.order_id for event in order_events})
    shipments = shipment_lines_of(
        {event.shipment_id for event in order_events if isinstance(event, ShipmentSent)}
    )
    customers = {
        customer.id: customer
        for customer in _recipients(pk__in={event.customer_id for event in order_events})
    }
    staff = _recipients(is_staff=True, is_active=True) if len(order_events) < len(events) else []
    now = clock.now()
    mails, in_app = [], []
    for event in events:
        fact = event.fact
        if not isinstance(fact, OrderEvent):
            message = message_for(MessageContext(event=fact))
            mails += [_mail_row(event.id, message, recipient=user, at=now) for user in staff]
            continue
        order = orders[fact.order_id]
        lines = shipments[fact.shipment_id] if isinstance(fact, ShipmentSent) else ()
        message = message_for(MessageContext(event=fact, order=order, shipment_lines=lines))
        customer = customers[fact.customer_id]
        mails.append(_mail_row(event.id, message, recipient=customer, at=now, order=order))
        in_app.append(_in_app_row(event.id, message, recipient=customer, at=now, order=order))
    return mails, in_app


def _recipients(**conditions: Any) -> list[_Recipient]:
    return rows_of(_Recipient, User.objects.filter(**conditions).order_by("id"))


def _mail_row(
    event_id: UUID,
    message: Message,
    *,
    recipient: _Recipient,
    at: datetime,
    order: OrderSummary | None = None,
) -> tuple[Any, ...]:
    name, *_ = recipient.full_name.split(maxsplit=1) or [""]
    mail = render_mail(message, recipient_name=name, order=order)
    id = new_id()
    return (
        id,
        event_id,
        recipient.id if order else None,
        recipient.email,
        Channel.EMAIL.value,
        message.kind.value,
        _one_line(message.subject),
        mail.text,
        mail.html,
        order.id if order else None,
        DeliveryState.QUEUED.value,
        f"<{id}@{mail_domain(settings.DEFAULT_FROM_EMAIL)}>",
        at,
        *_NO_ATTEMPTS,
    )


def _in_app_row(
    event_id: UUID, message: Message, *, recipient: _Recipient, at: datetime, order: OrderSummary
) -> tuple[Any, ...]:
    return (
        new_id(),
        event_id,
        recipient.id,
        recipient.email,
        Channel.IN_APP.value,
        message.kind.value,
        _one_line(message.subject),
        "\n".join(message.paragraphs),
        "",
        order.id,
        DeliveryState.SENT.value,
        "",
        at,
        *_NO_ATTEMPTS,
        at,
        None,
    )


# `attempts`, `fencing_token` and `last_error` of a new row.
_NO_ATTEMPTS = (0, 0, "")


def _one_line(text: str) -> str:
    """`text` with all white space collapsed, so that it is a valid header."""
    return " ".join(text.split())[:_SUBJECT_LENGTH]
