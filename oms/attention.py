"""The table of work that was given up or cannot go on, which staff must look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from inventory.models import StockDocument
from inventory.operations.receiving import overdue_receipts
from notifications.models import Notification
from notifications.operations.retrying import retry_undelivered
from oms.core import clock
from oms.events.dead_letters import retry_dead_letters
from oms.events.models import ConsumerOffset, DeadLetter
from oms.events.relay import consumer_lags
from oms.queue.lag import LONG_LAG
from oms.queue.leases import given_up
from orders.models import Order
from orders.operations.cancelling import OVERDUE_AFTER
from orders.states import OrderStatus
from payments.checks import retry_abandoned_payments, retry_abandoned_refunds
from payments.models import Payment, Refund
from payments.queries import rejected_captures_and_voids
from reports.models import DailyReport
from reports.operations.reporting import missing_reports


@dataclass(frozen=True, kw_only=True)
class WorkKind:
    """A kind of work that may need staff: rows of `model`, in the list that `query` filters.

    `retry` makes all of it due again and returns a sentence for each row; None where it is retried
    without end, or staff must decide.
    """

    name: str
    title: Any
    model: type[models.Model]
    query: str
    count: Callable[[], int]
    retry: Callable[[], list[str]] | None = None

    def is_visible(self, request: HttpRequest) -> bool:
        """Whether the user may see the list."""
        return admin.site.get_model_admin(self.model).has_view_permission(request)

    @property
    def url(self) -> str:
        """The list in the back office."""
        return reverse(f"admin:{self.model._meta.label_lower.replace('.', '_')}_changelist")


def _overdue_orders() -> int:
    expired_before = clock.now() - OVERDUE_AFTER
    pending = Order.objects.filter(status=OrderStatus.PENDING, deleted_at=None)
    return pending.filter(expires_at__lt=expired_before).count()


KINDS: tuple[WorkKind, ...] = (
    WorkKind(
        name="payments",
        title=_("Payments without an outcome"),
        model=Payment,
        query="given_up=yes",
        count=lambda: given_up(Payment).count(),
        retry=retry_abandoned_payments,
    ),
    WorkKind(
        name="captures",
        title=_("Declined captures and voids"),
        model=Payment,
        query="status__exact=authorized",
        count=lambda: rejected_captures_and_voids().count(),
    ),
    WorkKind(
        name="refunds",
        title=_("Refunds without an outcome"),
        model=Refund,
        query="given_up=yes",
        count=lambda: given_up(Refund).count(),
        retry=retry_abandoned_refunds,
    ),
    WorkKind(
        name="mail",
        title=_("Undelivered e-mail"),
        model=Notification,
        query="state__exact=dead",
        count=lambda: given_up(Notification).count(),
        retry=retry_undelivered,
    ),
    WorkKind(
        name="events",
        title=_("Failed events"),
        model=DeadLetter,
        query="given_up=yes",
        count=lambda: given_up(DeadLetter).count(),
        retry=retry_dead_letters,
    ),
    WorkKind(
        name="consumers",
        title=_("Event consumers that are behind"),
        model=ConsumerOffset,
        query="",
        count=lambda: sum(lag > LONG_LAG for lag in consumer_lags().values()),
    ),
    WorkKind(
        name="orders",
        title=_("Orders that failed to expire"),
        model=Order,
        query="status__exact=pending",
        count=_overdue_orders,
    ),
    WorkKind(
        name="receipts",
        title=_("Receipts that could not be booked"),
        model=StockDocument,
        query="completed_at__isnull=True",
        count=lambda: overdue_receipts().count(),
    ),
    WorkKind(
        name="reports",
        title=_("Daily reports that failed"),
        model=DailyReport,
        query="",
        count=lambda: len(missing_reports(now=clock.now())),
    ),
)
