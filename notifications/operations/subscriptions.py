"""Turning events into notifications, inside the transaction of the relay."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.utils import translation

from notifications.mail import mail_domain
from notifications.messages import WORDINGS, Message, Occasion, message_for
from notifications.models import Channel, DeliveryState, Notification
from notifications.rendering import in_app_text, one_line, rendered_mail
from oms.core import clock
from oms.core.ids import new_id
from oms.db.bulk_writes import insert_rows
from oms.db.pipeline import ask
from oms.db.raw_queries import rows_of
from oms.db.transactions import transaction_required
from oms.events.relay import RecordedEvent
from oms.queue.wakeups import wake_on_commit
from oms.users.models import User
from orders.events import OrderFact, ShipmentSent
from orders.read_models import shipment_lines_of, summaries_of

# The Celery task that sends whatever mail is due.
DRAIN_TASK = "notifications.drain"

EVENT_TYPES = tuple(WORDINGS)

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
# The values of a row, in the order of the columns.
_Row = tuple[Any, ...]


class _Person(NamedTuple):
    id: UUID
    email: str
    full_name: str


@transaction_required
def queue_notifications(events: Sequence[RecordedEvent]) -> None:
    """Write down what the people concerned are to be told of `events`; workers send the mail.

    A customer gets an e-mail and an in-app notification for each fact about an order, every active
    member of the staff an e-mail for a product that ran low. The number of statements does not
    depend on how many events there are. An event that was heard before changes nothing.
    """
    _allow_for_rendering()
    with translation.override(settings.LANGUAGE_CODE):
        mails, in_app = _drafts([event for event in events if isinstance(event.fact, EVENT_TYPES)])
    # Mail is due at the database's time, which the column has by default.
    insert_rows(Notification, _COLUMNS, mails, skip_existing=True)
    insert_rows(Notification, (*_COLUMNS, "sent_at", "next_attempt_at"), in_app, skip_existing=True)
    if mails:
        wake_on_commit(DRAIN_TASK)


def _allow_for_rendering() -> None:
    """Let the relay's transaction wait for hundreds of mails to be rendered on a busy machine.

    PostgreSQL takes that for idling. All that the transaction locks is the relay's own offset.
    """
    ask("SELECT set_config('idle_in_transaction_session_timeout', '60s', true)")


def _drafts(events: Sequence[RecordedEvent]) -> tuple[list[_Row], list[_Row]]:
    """The rows of mails, and of what is told in the shop."""
    about_orders = [event.fact for event in events if isinstance(event.fact, OrderFact)]
    orders = summaries_of({fact.order_id for fact in about_orders})
    parcels = shipment_lines_of(
        {f.shipment_id for f in about_orders if isinstance(f, ShipmentSent)}
    )
    customers = _customers({fact.customer_id for fact in about_orders})
    staff = _staff() if len(about_orders) < len(events) else []
    now = clock.now()
    mails: list[_Row] = []
    in_app: list[_Row] = []
    for event in events:
        fact = event.fact
        if isinstance(fact, OrderFact):
            parcel = parcels[fact.shipment_id] if isinstance(fact, ShipmentSent) else ()
            occasion = Occasion(fact=fact, order=orders.get(fact.order_id), parcel=parcel)
            customer, message = customers[fact.customer_id], message_for(occasion)
            about: dict[str, Any] = {"recipient_id": customer.id, "order_id": fact.order_id}
            mails.append(_mail(event, message, to=customer, at=now, **about))
            in_app.append(_in_app(event, message, to=customer, at=now, **about))
        else:
            message = message_for(Occasion(fact=fact))
            mails += [_mail(event, message, to=person, at=now) for person in staff]
    return mails, in_app


def _customers(ids: Collection[UUID]) -> dict[UUID, _Person]:
    people = rows_of(_Person, User.objects.filter(pk__in=ids)) if ids else []
    return {person.id: person for person in people}


def _staff() -> list[_Person]:
    staff = User.objects.filter(is_staff=True, is_active=True)
    return rows_of(_Person, staff.order_by("id"))


def _mail(
    event: RecordedEvent,
    message: Message,
    *,
    to: _Person,
    at: datetime,
    recipient_id: UUID | None = None,
    order_id: UUID | None = None,
) -> _Row:
    mail = rendered_mail(message, greeted=to.full_name.split(" ")[0])
    id = new_id()
    return (
        id,
        event.id,
        recipient_id,
        to.email,
        Channel.EMAIL.value,
        message.kind.value,
        mail.subject,
        mail.text,
        mail.html,
        order_id,
        DeliveryState.QUEUED.value,
        f"<{id}@{mail_domain(settings.DEFAULT_FROM_EMAIL)}>",
        at,
        *_UNTRIED,
    )


def _in_app(
    event: RecordedEvent,
    message: Message,
    *,
    to: _Person,
    at: datetime,
    recipient_id: UUID,
    order_id: UUID,
) -> _Row:
    return (
        new_id(),
        event.id,
        recipient_id,
        to.email,
        Channel.IN_APP.value,
        message.kind.value,
        one_line(message.subject),
        in_app_text(message),
        "",
        order_id,
        DeliveryState.SENT.value,
        "",
        at,
        *_UNTRIED,
        at,
        None,
    )


# The attempts, the fencing token and the last error of what is new.
_UNTRIED = (0, 0, "")
