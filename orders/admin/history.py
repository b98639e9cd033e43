"""The history of an order, from the event log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from oms.backoffice.display import money
from oms.core.ids import creation_time_of
from oms.events.archiving import archived_until
from oms.events.history import earliest_event_of
from oms.events.models import Event
from orders.queries import returns_of

TITLES = {
    "order.placed": _("Placed"),
    "order.edited": _("Edited"),
    "order.internal_note_changed": _("Internal note changed"),
    "order.confirmed": _("Confirmed"),
    "order.processing_started": _("Processing started"),
    "order.put_on_hold": _("Put on hold"),
    "order.shipped": _("Shipped"),
    "order.delivered": _("Delivered"),
    "order.cancelled": _("Cancelled"),
    "order.expired": _("Expired"),
    "order.paid": _("Paid"),
    "order.partially_paid": _("Partially paid"),
    "order.awaiting_payment": _("Awaiting payment"),
    "order.payment_failed": _("Payment failed"),
    "order.refunded": _("Refunded"),
    "order.shipment_sent": _("Shipment sent"),
    "order.items_allocated": _("Items allocated"),
    "order.items_waiting": _("Items wait for stock"),
    "order.items_returned": _("Items returned"),
    "order.items_cancelled": _("Items cancelled"),
    "order.shipment_corrected": _("Shipment corrected"),
    "order.shipment_delivered": _("Shipment delivered"),
    "order.deleted": _("Deleted"),
    "return.requested": _("Return requested"),
    "return.approved": _("Return approved"),
    "return.rejected": _("Return rejected"),
    "return.cancelled": _("Return cancelled"),
    "return.received": _("Return received"),
}


@dataclass(frozen=True, kw_only=True)
class HistoryLine:
    title: Any
    at: datetime
    by: str
    details: Any


def history_lines(order_id: UUID) -> Sequence[HistoryLine]:
    """The events of the order, newest first; the last line says if older ones are archived."""
    ids = [order_id, *returns_of(order_id).values_list("id", flat=True)]
    events = Event.objects.filter(object_id__in=ids, id__gte=earliest_event_of(ids))
    lines = [
        HistoryLine(
            title=TITLES.get(event.type, event.type),
            at=event.occurred_at,
            by=event.actor_label,
            details=_details(event.data),
        )
        for event in events.order_by("-position")
    ]
    archived = archived_until()
    if archived is not None and creation_time_of(order_id) < archived:
        text = _("Older events are in the archive of the event log.")
        lines.append(HistoryLine(title=_("Archived"), at=archived, by="", details=text))
    return lines


def _details(data: dict[str, Any]) -> str:
    parts = [data.get("reason", ""), data.get("code", "")]
    if "amount" in data:
        parts.append(money(Decimal(data["amount"]), data["currency"]))
    if "pieces" in data:
        text = ngettext("%(quantity)d item", "%(quantity)d items", data["pieces"])
        parts.append(text % {"quantity": data["pieces"]})
    parts += [data.get("carrier", ""), data.get("tracking_number", "")]
    parts += [name.replace("_", " ") for name in data.get("changes", ())]
    return " · ".join(part for part in parts if part)
