"""Events in words, with links to what they are about, for the pages of the back office."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from oms.backoffice.display import NOTHING, link
from oms.backoffice.order_links import order_numbers
from oms.events.models import Event
from oms.users.models import User

# The admin pages of the objects that events are about.
_PAGES = {
    "order": "orders_order",
    "product": "inventory_product",
    "location": "inventory_location",
    "payment": "payments_payment",
    "refund": "payments_refund",
    "user": "users_user",
}
# What facts call the ids of those objects.
_LINKED = {f"{kind}_id": page for kind, page in _PAGES.items()} | {"customer_id": "users_user"}


def in_words(name: str) -> str:
    """The name of an event or of a fact as words: "order.put_on_hold" is "order put on hold"."""
    return name.replace(".", " ").replace("_", " ")


def event_link(event: Event) -> SafeString | str:
    """A link to the event, such as "order paid"."""
    return link(in_words(event.type), "events_event", event.pk)


def name_objects(events: Iterable[Any]) -> None:
    """Let each event know how its object is called, in at most two statements for all of them.

    An order, a payment and a refund go by the order's number, a user by the e-mail address.
    """
    numbers = order_numbers(_order_of(event) for event in events)
    users = {event.object_id for event in events if event.object_type == "user"}
    emails: dict[UUID, str] = {}
    if users:
        emails = dict(User.objects.filter(pk__in=users).values_list("pk", "email"))
    for event in events:
        number = numbers.get(_order_of(event) or event.object_id, "")
        name = number or emails.get(event.object_id) or _called(event.data) or event.object_id
        words = f"{in_words(event.object_type)} {name}"
        page = _PAGES.get(event.object_type)
        event.object_shown = link(words, page, event.object_id) if page else words


def _order_of(event: Event) -> UUID | None:
    if event.object_type == "order":
        return event.object_id
    id = event.data.get("order_id")
    return UUID(id) if id else None


def _called(data: Mapping[str, Any]) -> str:
    names = (data.get(key) for key in ("number", "sku", "email", "name", "code"))
    return next((str(name) for name in names if name), "")


def facts_of(data: Mapping[str, Any]) -> SafeString:
    """What an event says, a line for each fact; changes as "old → new", and ids as names."""
    names = _names_in(data)
    lines = []
    for name, value in data.items():
        if name == "changes" and isinstance(value, dict):
            lines += [(in_words(field), _change(change)) for field, change in value.items()]
        else:
            label = in_words(name.removesuffix("_id") if name in _LINKED else name)
            lines.append((label, _value(name, value, names)))
    facts = format_html_join("", "<dt>{}</dt><dd>{}</dd>", lines)
    return format_html('<dl class="bo-facts">{}</dl>', facts)


def _names_in(data: Mapping[str, Any]) -> Mapping[str, str]:
    order_id = data.get("order_id")
    numbers = order_numbers([UUID(order_id)] if order_id else [])
    names = {str(id): number for id, number in numbers.items()}
    users = [data[key] for key in ("user_id", "customer_id") if data.get(key)]
    if users:
        emails = User.objects.filter(pk__in=users).values_list("pk", "email")
        names |= {str(id): email for id, email in emails}
    return names


def _change(change: Any) -> SafeString | str:
    if isinstance(change, list) and len(change) == 2:
        before, after = (_value("", value, {}) for value in change)
        return format_html("{} → {}", before, after)
    return _value("", change, {})


def _value(name: str, value: Any, names: Mapping[str, str]) -> SafeString | str:
    if value is None or value == "":
        return NOTHING
    if isinstance(value, str) and name in _LINKED:
        return link(names.get(value, value), _LINKED[name], value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str | int):
        return str(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value) or NOTHING
    words = json.dumps(value, indent=2, ensure_ascii=False)
    return format_html('<pre class="bo-json">{}</pre>', words)
