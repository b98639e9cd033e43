"""What happened to an order, out of the event log, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from oms.backoffice.display import moment, money
from oms.core.ids import moment_of
from oms.events.archiving import archived_until
from oms.events.history import earliest_event_of
from oms.events.models import Event

_WORDS = {
    "order.placed": _("Placed"),
    "order.edited": _("Edited"),
    "order.confirmed": _("Confirmed"),
    "order.processing_started": _("Processing started"),
    "order.put_on_hold": _("Put on hold"),
    "order.shipped": _("Shipped"),
    "order.delivered": _("Delivered"),
    "order.cancelled": _("Cancelled"),
    "order.expired": _("Expired"),
    "order.paid": _("Paid"),
    "order.payment_failed": _("Payment failed"),
    "order.refunded": _("Refunded"),
    "order.shipment_sent": _("Parcel sent"),
    "order.items_returned": _("Goods returned"),
    "order.deleted": _("Deleted"),
}


@dataclass(frozen=True, kw_only=True)
class HistoryLine:
    """One thing that happened, with when, by whom, and what else there is to say."""

    what: Any
    at: str
    by: str
    details: Any


def history_lines(order_id: UUID) -> Sequence[HistoryLine]:
    """All that happened to the order, the latest first.

    Where events of its time are archived, the last line says so.
    """
    events = Event.objects.filter(
        object_id=order_id, object_type="order", id__gte=earliest_event_of([order_id])
    )
    lines = [
        HistoryLine(
            what=_WORDS.get(event.type, event.type),
            at=moment(event.occurred_at),
            by=event.actor_label,
            details=_details(event.data),
        )
        for event in events.order_by("-position")
    ]
    archived = archived_until()
    if archived is not None and moment_of(order_id) < archived:
        words = _("What happened before this moment is in the archive of the event log.")
        lines.append(HistoryLine(what=_("Archived"), at=moment(archived), by="", details=words))
    return lines


def _details(data: dict[str, Any]) -> str:
    parts = [data.get("reason", ""), data.get("code", "")]
    if "amount" in data:
        parts.append(money(Decimal(data["amount"]), data["currency"]))
    if "pieces" in data:
        words = ngettext("%(pieces)d piece", "%(pieces)d pieces", data["pieces"])
        parts.append(words % {"pieces": data["pieces"]})
    parts += [data.get("carrier", ""), data.get("tracking_number", "")]
    parts += [name.replace("_", " ") for name in data.get("changes", ())]
    return " · ".join(part for part in parts if part)
