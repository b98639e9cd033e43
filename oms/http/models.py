"""Stored responses of calls with an idempotency key."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class IdempotencyRecord(models.Model):
    """The answer that a call with an Idempotency-Key got, committed together with its effect.

    `scope` is the first half of a SHA-256 digest of who called what under which key, `fingerprint`
    a whole one of the query and the body. Neither the key nor the request is kept in clear.
    """

    scope = models.UUIDField(primary_key=True)
    fingerprint = models.BinaryField()
    status = models.PositiveSmallIntegerField()
    headers = models.JSONField()
    body = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="idempotency_by_age")]

    def __str__(self) -> str:
        return f"{self.status} of {self.scope}"
