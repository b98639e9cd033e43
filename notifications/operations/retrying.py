"""Retrying failed mail."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import structlog
from django.db.models.functions import Now

from notifications.errors import NotificationNotRetryable
from notifications.events import NotificationRetried
from notifications.models import DeliveryState, Notification
from notifications.operations.subscriptions import SEND_TASK
from oms.core.actor import Actor
from oms.core.errors import NotFound
from oms.core.permissions import Permission
from oms.db.transactions import transaction
from oms.events.publishing import publish
from oms.queue.leases import given_up
from oms.queue.wakeups import wake_on_commit

log = structlog.get_logger(__name__)


@transaction
def retry_notification(*, actor: Actor, notification_id: UUID) -> None:
    """Send a failed or undeliverable mail again at once, with all its attempts renewed.

    Raises PermissionDenied, NotFound and NotificationNotRetryable.
    """
    actor.require(Permission.CUSTOMERS_VIEW)
    notification = (
        Notification.objects.select_for_update(no_key=True).filter(pk=notification_id).first()
    )
    if notification is None:
        raise NotFound
    if not notification.is_retryable:
        raise NotificationNotRetryable(state=notification.state)
    Notification.objects.filter(pk=notification.pk).update(**_queued())
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


@transaction
def retry_undelivered() -> list[str]:
    """Let all undeliverable mail be sent again; a sentence for each, which is logged too."""
    retried = []
    for id, email in given_up(Notification).order_by("id").values_list("id", "email"):
        Notification.objects.filter(pk=id, state=DeliveryState.DEAD).update(**_queued())
        retried.append(f"mail {id} to {email}: will be sent again")
        log.info("mail_retried", id=str(id))
    if retried:
        wake_on_commit(SEND_TASK)
    return retried


def _queued() -> dict[str, Any]:
    return {
        "state": DeliveryState.QUEUED,
        "attempts": 0,
        "next_attempt_at": Now(),
        "lease_until": None,
    }
