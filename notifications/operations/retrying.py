"""Retrying failed mail."""

from __future__ import annotations

from uuid import UUID

from django.db.models.functions import Now

from notifications.errors import NotificationNotRetryable
from notifications.events import NotificationRetried
from notifications.models import DeliveryState, Notification
from notifications.operations.subscriptions import SEND_TASK
from oms.core.actor import Actor
from oms.core.errors import Forbidden, NotFound
from oms.db.transactions import transaction
from oms.events.publishing import publish
from oms.queue.wakeups import wake_on_commit


@transaction
def retry_notification(*, actor: Actor, notification_id: UUID) -> None:
    """Send a failed or undeliverable mail again at once, with all its attempts renewed.

    Raises Forbidden unless the actor is staff, NotFound and NotificationNotRetryable.
    """
    if not actor.is_staff:
        raise Forbidden
    notification = (
        Notification.objects.select_for_update(no_key=True).filter(pk=notification_id).first()
    )
    if notification is None:
        raise NotFound
    if not notification.is_retryable:
        raise NotificationNotRetryable(state=notification.state)
    Notification.objects.filter(pk=notification.pk).update(
        state=DeliveryState.QUEUED, attempts=0, next_attempt_at=Now(), lease_until=None
    )
    publish(
        NotificationRetried(
            notification_id=notification.id,
            kind=notification.kind,
            email=notification.email,
            order_id=notification.order_id,
        ),
        actor=actor,
    )
    wake_on_commit(SEND_TASK)
