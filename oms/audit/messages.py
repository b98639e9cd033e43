"""Events for staff: their names, the objects they are about, and their data with links."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.forms.utils import pretty_name
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from oms.backoffice.display import EMPTY, link
from oms.backoffice.object_links import admin_of, object_link, object_names
from oms.events.models import Event

# Fields of event data that do not name the type of their object.
_FIELD_TYPES = {"customer_id": "user"}


def event_name(event_type: str) -> str:
    """Such as "Order put on hold" for "order.put_on_hold"."""
    return pretty_name(event_type.replace(".", "_"))


def event_link(event: Event) -> SafeString | str:
    return link(event_name(event.type), "events_event", event.pk)


def set_object_links(events: Iterable[Any]) -> None:
    """Set each event's `object_link`, with at most two queries for all of them.

    Orders, payments and refunds are named by the order number, users by the e-mail address, and
    others by the event's own data.
    """
    orders = object_names("order", map(_order_id, events))
    users = object_names("user", (e.object_id for e in events if e.object_type == "user"))
    for event in events:
        id = event.object_id
        name = orders.get(_order_id(event) or id) or users.get(id) or _name_in(event.data) or id
        text = f"{pretty_name(event.object_type)} {name}"
        event.object_link = object_link(event.object_type, id, text)


def _order_id(event: Event) -> UUID | None:
    if event.object_type == "order":
        return event.object_id
    id = event.data.get("order_id")
    return UUID(id) if id else None


def _name_in(data: Mapping[str, Any]) -> str:
    names = (data.get(key) for key in ("number", "sku", "email", "name", "code"))
    return next((str(name) for name in names if name), "")


def event_details(event: Any) -> SafeString:
    """The data of the event as a list: changes as "old → new", ids of objects as links."""
    # Admin pages read each value several times.
    if not hasattr(event, "details"):
        event.details = _details(event.data)
    details: SafeString = event.details
    return details


def _details(data: Mapping[str, Any]) -> SafeString:
    names = {
        id: name
        for field in data
        for id, name in object_names(_object_type(field), _ids(field, data)).items()
    }
    rows: list[tuple[str, SafeString | str]] = []
    for field, value in data.items():
        object_type = _object_type(field)
        if field == "changes" and isinstance(value, dict):
            rows += [(pretty_name(name), _change(change)) for name, change in value.items()]
        elif object_type and value:
            text = names.get(UUID(value), value)
            rows.append((pretty_name(object_type), object_link(object_type, value, text)))
        else:
            rows.append((pretty_name(field), _value(value)))
    items = format_html_join("", "<dt>{}</dt><dd>{}</dd>", rows)
    return format_html('<dl class="bo-summary">{}</dl>', items)


def _object_type(field: str) -> str:
    object_type = _FIELD_TYPES.get(field, field.removesuffix("_id"))
    return object_type if field.endswith("_id") and admin_of(object_type) else ""


def _ids(field: str, data: Mapping[str, Any]) -> list[UUID]:
    return [UUID(data[field])] if _object_type(field) and data[field] else []


def _change(change: Any) -> SafeString | str:
    if isinstance(change, list) and len(change) == 2:
        return format_html("{} → {}", _value(change[0]), _value(change[1]))
    return _value(change)


def _value(value: Any) -> SafeString | str:
    if value is None or value == "":
        return EMPTY
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str | int):
        return str(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value) or EMPTY
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return format_html('<pre class="bo-json">{}</pre>', text)
