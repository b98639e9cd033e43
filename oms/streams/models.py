"""Tickets by which browsers open streams."""

from __future__ import annotations

from django.db import models


class Ticket(models.Model):
    """A ticket that has not been used; the row is deleted when it is."""

    # SHA-256 of the ticket, in hexadecimal.
    digest = models.CharField(max_length=64, primary_key=True)
    user_id = models.UUIDField()
    # The session of the API, or else the key of that of the back office.
    session_id = models.UUIDField(null=True)
    session_key = models.CharField(max_length=40, db_default="")
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.digest[:8]
