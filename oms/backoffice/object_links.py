"""Names and links of objects that another app owns, known here by type and id alone.

The admin of the owning app declares the type (`BaseAdmin.object_type`) and gives the names; a list
looks up the names of a page in one query.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import reduce
from operator import or_
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from oms.backoffice.admins import BaseAdmin, LargeTableAdmin
from oms.backoffice.display import EMPTY, link
from oms.core.ids import as_uuid


def admin_of(object_type: str) -> BaseAdmin | None:
    """The admin that owns objects of that type."""
    owners = (
        owner
        for owner in admin.site._registry.values()
        if isinstance(owner, BaseAdmin) and owner.object_type == object_type
    )
    return next(owners, None) if object_type else None


def object_names(object_type: str, ids: Iterable[UUID | None]) -> Mapping[UUID, str]:
    """The names of those of the objects that still exist, in at most one query."""
    known = {id for id in ids if id is not None}
    owner = admin_of(object_type)
    return owner.object_names(known) if owner is not None and known else {}


def object_link(object_type: str, id: UUID | str, text: Any) -> SafeString | str:
    """`text` as a link to the object's page, or as it is where the type has no page."""
    owner = admin_of(object_type)
    if owner is None:
        return str(text)
    return link(text, f"{owner.opts.app_label}_{owner.opts.model_name}", id)


def find_order(term: str) -> UUID | None:
    """The id of the order with exactly that number, in any case."""
    owner = admin_of("order")
    return owner.find_object(term) if owner is not None else None


def order_query(term: str, *, id_fields: Collection[str] = ()) -> Q | None:
    """The rows of the order with the number `term`, or with that UUID as an order id or id field.

    None if `term` is neither. The caller then filters by its other condition alone: PostgreSQL
    would scan the table for an OR of conditions of which one has no index.
    """
    order_id = find_order(term)
    if order_id is not None:
        return Q(order_id=order_id)
    id = as_uuid(term)
    if id is None:
        return None
    return reduce(or_, (Q((field, id)) for field in ("order_id", *id_fields)))


def set_order_links(rows: Iterable[Any]) -> None:
    """Set each row's `order_link`: the order's number, "deleted order", or a dash."""
    numbers = object_names("order", (row.order_id for row in rows))
    for row in rows:
        row.order_link = order_link(row.order_id, numbers)


def order_link(order_id: UUID | None, numbers: Mapping[UUID, str]) -> Any:
    """A link to the order, whose number is one of `numbers`; "deleted order", or a dash."""
    if order_id is None:
        return EMPTY
    if order_id not in numbers:
        return _("deleted order")
    return object_link("order", order_id, numbers[order_id])


class OrderRowsAdmin(LargeTableAdmin):
    """Rows with an `order_id`, shown as a link in the column `order`."""

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        page: Any = super().get_changelist_instance(request)
        set_order_links(page.result_list)
        return page

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        obj = super().get_object(request, object_id, from_field)
        if obj is not None:
            set_order_links([obj])
        return obj

    @display(description=_("order"))
    def order(self, row: Any) -> SafeString | str:
        cell: SafeString | str = row.order_link
        return cell
