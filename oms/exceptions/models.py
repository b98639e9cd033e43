"""What the shop could not settle by itself, for a person to look at."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from oms.core.ids import new_id
from oms.exceptions.kinds import ExceptionKind, rules_of


class ExceptionRecord(models.Model):
    """One exception; `subject` is the type and the id of what it is about, such as "refund:…".

    It is open until `resolved_at`.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(_("kind"), max_length=40, choices=ExceptionKind)
    subject = models.CharField(_("subject"), max_length=255)
    cause = models.CharField(_("cause"), max_length=500)
    since = models.DateTimeField(_("since"))
    order_id = models.UUIDField(_("order"), null=True, blank=True)
    payment_id = models.UUIDField(_("payment"), null=True, blank=True)
    resolved_at = models.DateTimeField(_("resolved"), null=True, blank=True)
    resolved_by = models.CharField(_("resolved by"), max_length=254, blank=True)
    note = models.CharField(_("note"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("exception")
        verbose_name_plural = _("exceptions")
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "subject"],
                condition=Q(resolved_at__isnull=True),
                name="exception_open_once",
            )
        ]
        indexes = [
            models.Index(
                fields=["-id"], name="exception_open", condition=Q(resolved_at__isnull=True)
            ),
            models.Index(
                fields=["order_id"],
                name="exception_of_order",
                condition=Q(order_id__isnull=False),
            ),
            models.Index(
                fields=["payment_id"],
                name="exception_of_payment",
                condition=Q(payment_id__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return str(self.get_kind_display())

    @property
    def is_open(self) -> bool:
        return self.resolved_at is None

    @property
    def operations(self) -> tuple[str, ...]:
        """The names of the operations that mend it."""
        return rules_of(self.kind).operations
