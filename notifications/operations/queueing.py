"""Turning events into notifications, inside the transaction of the relay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from email.utils import parseaddr
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.utils import translation

from notifications.models import Channel, DeliveryState, Notification
from notifications.rendering import in_app_text, one_line, rendered_mail
from notifications.wording import WORDINGS, Message, Occasion, message_for
from oms.core import clock
from oms.core.db import transaction_required
from oms.core.ids import new_id
from oms.core.waking import wake_on_commit
from oms.core.writing import insert_rows
from oms.events.relaying import RecordedEvent
from oms.users.models import User
from orders.events import OrderFact, ShipmentSent
from orders.summaries import parcels_of, summaries_of

# The Celery task that sends whatever mail is due.
DRAIN_TASK = "notifications.drain"

HEARD = tuple(WORDINGS)

_COLUMNS = (
    "id",
    "event_id",
    "recipient",
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


@transaction_required
def queue_notifications(events: Sequence[RecordedEvent]) -> None:
    """Write down what the people concerned are to be told of `events`; workers send the mail.

    A customer gets an e-mail and an in-app notification for each fact about an order, every active
    member of the staff an e-mail for a product that ran low. The number of statements does not
    depend on how many events there are. An event that was heard before changes nothing.
    """
    _allow_for_rendering()
    with translation.override(settings.LANGUAGE_CODE):
        drafts = _drafts([event for event in events if isinstance(event.fact, HEARD)])
    mails = [row for row in drafts if row.channel == Channel.EMAIL]
    in_app = [row for row in drafts if row.channel == Channel.IN_APP]
    # Mail is due at the database's time, which the column has by default.
    insert_rows(Notification, _COLUMNS, map(_values, mails), skip_existing=True)
    insert_rows(
        Notification,
        (*_COLUMNS, "sent_at", "next_attempt_at"),
        [(*_values(row), row.created_at, None) for row in in_app],
        skip_existing=True,
    )
    if mails:
        wake_on_commit(DRAIN_TASK)


def _allow_for_rendering() -> None:
    """Let the relay's transaction wait for hundreds of mails to be rendered on a busy machine.

    PostgreSQL takes that for idling. All that the transaction locks is the relay's own offset.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('idle_in_transaction_session_timeout', '60s', true)")


def _drafts(events: Sequence[RecordedEvent]) -> list[Notification]:
    about_orders = [event.fact for event in events if isinstance(event.fact, OrderFact)]
    orders = summaries_of({fact.order_id for fact in about_orders})
    parcels = parcels_of({f.shipment_id for f in about_orders if isinstance(f, ShipmentSent)})
    customers = _customers({fact.customer_id for fact in about_orders})
    staff = _staff() if len(about_orders) < len(events) else []
    rows = []
    for event in events:
        fact = event.fact
        if isinstance(fact, OrderFact):
            parcel = parcels[fact.shipment_id] if isinstance(fact, ShipmentSent) else ()
            occasion = Occasion(fact=fact, order=orders.get(fact.order_id), parcel=parcel)
            customer = customers[fact.customer_id]
            rows += _for_customer(customer, message_for(occasion), event, order_id=fact.order_id)
        else:
            message = message_for(Occasion(fact=fact))
            rows += [_mail(event, message, email=user.email, user=user) for user in staff]
    return rows


def _customers(ids: Iterable[UUID]) -> dict[UUID, User]:
    ids = list(ids)
    return {user.id: user for user in User.objects.filter(pk__in=ids)} if ids else {}


def _staff() -> list[User]:
    return list(User.objects.filter(is_staff=True, is_active=True).order_by("id"))


def _for_customer(
    customer: User, message: Message, event: RecordedEvent, *, order_id: UUID
) -> list[Notification]:
    mail = _mail(event, message, email=customer.email, user=customer)
    mail.recipient, mail.order_id = customer, order_id
    in_app = Notification(
        event_id=event.id,
        recipient=customer,
        email=customer.email,
        channel=Channel.IN_APP,
        kind=message.kind,
        subject=one_line(message.subject),
        body=in_app_text(message),
        order_id=order_id,
        state=DeliveryState.SENT,
        created_at=mail.created_at,
    )
    return [mail, in_app]


def _mail(event: RecordedEvent, message: Message, *, email: str, user: User) -> Notification:
    mail = rendered_mail(message, greeted=user.get_short_name() if user.full_name else "")
    id = new_id()
    return Notification(
        id=id,
        event_id=event.id,
        email=email,
        channel=Channel.EMAIL,
        kind=message.kind,
        subject=mail.subject,
        body=mail.text,
        body_html=mail.html,
        message_id=f"<{id}@{_domain()}>",
        created_at=clock.now(),
    )


def _domain() -> str:
    """What the Message-IDs end with: the domain that the mail comes from."""
    return parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"


def _values(row: Notification) -> tuple[object, ...]:
    return (
        row.id,
        row.event_id,
        row.recipient_id,
        row.email,
        row.channel,
        row.kind,
        row.subject,
        row.body,
        row.body_html,
        row.order_id,
        row.state,
        row.message_id,
        row.created_at,
        0,
        0,
        "",
    )
