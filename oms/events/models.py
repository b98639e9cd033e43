"""The event log, the offsets of its consumers, and failed events."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Func, Q
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Now, Upper
from django.db.models.lookups import IsNull
from django.utils.translation import gettext_lazy as _

from oms.core.ids import new_id


class Xid8Field(models.Field[Any, Any]):
    """PostgreSQL's xid8: the number of a transaction, which never wraps around."""

    def db_type(self, connection: Any) -> str:
        return "xid8"


class Event(models.Model):
    """One fact. Rows are only ever inserted; a trigger rejects everything else.

    The table is partitioned by month on the time in `id`: see oms/events/partitions.py.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    position = models.BigIntegerField(
        db_default=Func(template="nextval('events_event_position_seq'::regclass)"), editable=False
    )
    # The transaction that wrote it. Positions are assigned before the commit, so their order is not
    # the order of commits; readers use (transaction, position) and stop short of the oldest
    # transaction that is still running.
    transaction = Xid8Field(db_default=Func(function="pg_current_xact_id"), editable=False)
    type = models.CharField(max_length=64)
    object_type = models.CharField(max_length=32)
    object_id = models.UUIDField()
    data = models.JSONField()
    actor_kind = models.CharField(max_length=16)
    actor_id = models.UUIDField(null=True)
    actor_label = models.CharField(max_length=254)
    request_id = models.CharField(max_length=128, blank=True)
    ip = models.GenericIPAddressField(null=True)
    occurred_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["transaction", "position"], name="event_reading_order"),
            # Filters of the audit trail, each with the order of its pages; but a request has few.
            models.Index(fields=["object_id", "id"], name="event_of_object"),
            models.Index(fields=["request_id"], name="event_of_request"),
            models.Index(
                fields=["actor_id", "id"],
                condition=Q(actor_id__isnull=False),
                name="event_of_actor",
            ),
            models.Index(Upper("actor_label"), "id", name="event_of_label"),
            models.Index(fields=["type", "id"], name="event_of_type"),
            # The feed of a customer.
            models.Index(
                KeyTextTransform("customer_id", "data"),
                "transaction",
                "position",
                condition=Q(IsNull(KeyTextTransform("customer_id", "data"), False)),
                name="event_by_customer",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} #{self.position}"


class ConsumerOffset(models.Model):
    """How far a consumer has read: all up to and including (transaction, position)."""

    consumer = models.CharField(max_length=64, primary_key=True)
    transaction = Xid8Field(default="0")
    position = models.BigIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("event consumer")
        verbose_name_plural = _("event consumers")

    def __str__(self) -> str:
        return f"{self.consumer} at {self.transaction}/{self.position}"


class DeadLetter(models.Model):
    """An event that a consumer failed to handle: retried later, dead after too many attempts.

    The consumer continues with later events.
    """

    consumer = models.CharField(max_length=64)
    event = models.ForeignKey(Event, on_delete=models.PROTECT, related_name="+")
    attempts = models.PositiveIntegerField(default=1)
    next_attempt_at = models.DateTimeField(null=True)
    last_error = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    # A row is deleted once its event is handled.
    unfinished = Q()

    class Meta:
        db_table = "events_parkedevent"
        verbose_name = _("failed event")
        verbose_name_plural = _("failed events")
        constraints = [
            models.UniqueConstraint(fields=["consumer", "event"], name="parked_event_once"),
        ]

    def __str__(self) -> str:
        return f"{self.event} for {self.consumer}"

    @property
    def is_dead(self) -> bool:
        return self.next_attempt_at is None


class ArchivedMonth(models.Model):
    """A month of the log that has been moved to a file of the archive.

    The oldest month is archived first, so all events before the newest one's end are archived.
    """

    # Its first day, in UTC.
    month = models.DateField(primary_key=True)
    file = models.CharField(max_length=255)
    rows = models.BigIntegerField()
    # Of the file's content before compression, in hexadecimal.
    sha256 = models.CharField(max_length=64)
    archived_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"
