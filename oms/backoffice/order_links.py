"""How orders are called where they are known by their ids alone.

Payments, movements and notifications hold the id of an order; staff know it by its number. The app
that owns the orders says here how to find the one by the other, and a list asks for all numbers of
its page in one statement.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import reduce
from operator import or_
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from oms.backoffice.admins import GrowingAdmin
from oms.backoffice.display import NOTHING, link

NumbersOf = Callable[[Collection[UUID]], Mapping[UUID, str]]
IdOf = Callable[[str], UUID | None]

_register: dict[str, Any] = {}


def name_orders_by(*, numbers_of: NumbersOf, id_of: IdOf) -> None:
    """Let `numbers_of` give the numbers of orders by their ids, and `id_of` an id by its number.

    Orders that are gone have no number.
    """
    _register["numbers_of"], _register["id_of"] = numbers_of, id_of


def order_numbers(ids: Iterable[UUID | None]) -> Mapping[UUID, str]:
    """The numbers of those orders that are still there."""
    wanted = {id for id in ids if id is not None}
    numbers: Mapping[UUID, str] = _register["numbers_of"](wanted) if wanted else {}
    return numbers


def order_called(term: str) -> UUID | None:
    """The id of the order with exactly that number, in whichever case; None if there is none."""
    id: UUID | None = _register["id_of"](term.strip().upper())
    return id


def found_by_order(term: str, *, ids: Collection[str] = ()) -> Q | None:
    """The rows of the order called `term`, or those with that UUID in `order_id` or in `ids`.

    None where it is neither, so that what else it may be is asked alone: of one condition or
    another, of which a single one has no index, PostgreSQL would have to look at every row.
    """
    order_id = order_called(term)
    if order_id is not None:
        return Q(order_id=order_id)
    id = as_uuid(term)
    if id is None:
        return None
    return reduce(or_, (Q((name, id)) for name in ("order_id", *ids)))


def as_uuid(term: str) -> UUID | None:
    """The UUID that `term` is; None if it is none."""
    try:
        return UUID(term)
    except ValueError:
        return None


def order_link_of(order_id: UUID | None, numbers: Mapping[UUID, str]) -> SafeString | str:
    """A link to the order by its number; words where it is gone, a dash where there is none."""
    if order_id is None:
        return NOTHING
    if order_id not in numbers:
        return str(_("a deleted order"))
    return link(numbers[order_id], "orders_order", order_id)


class OrdersNamedAdmin(GrowingAdmin):
    """Rows that hold an `order_id`, shown as a link in the column `order_link`."""

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The page of the list, each row with its order's number."""
        page: Any = super().get_changelist_instance(request)
        self.name_orders(page.result_list)
        return page

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        obj = super().get_object(request, object_id, from_field)
        if obj is not None:
            self.name_orders([obj])
        return obj

    def name_orders(self, rows: Iterable[Any]) -> None:
        """Let each of the rows know its order's number."""
        numbers = order_numbers(row.order_id for row in rows)
        for row in rows:
            row.order_shown = order_link_of(row.order_id, numbers)

    @display(description=_("order"))
    def order_link(self, row: Any) -> SafeString | str:
        shown: SafeString | str = row.order_shown
        return shown
