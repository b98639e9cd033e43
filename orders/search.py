"""Search for orders with indexes other than the one that their list is sorted by.

Each function passes the matching ids as an array, which PostgreSQL computes once and first. For a
join or IN the planner may expect so many matches that it scans the list for a page of them, and
then scans all of it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import BooleanField, F, Func, Q, QuerySet
from django.db.models.functions import Reverse

from oms.core.ids import first_id_at
from oms.users.models import User
from orders.models import Order

# After every character of a number.
_LAST = "\U0010ffff"


def orders_found(orders: QuerySet[Order], *, text: str) -> QuerySet[Order]:
    """Those of `orders` that match each word of `text`, in any case.

    A word matches an order whose number begins or ends with it, whose reference it is, exactly, or
    whose customer's e-mail address or name contains it.
    """
    for word in text.split():
        orders = orders.filter(_is_any_of(_ids_fitting(word)))
    return orders


def made_since(orders: QuerySet[Order], *, moment: datetime) -> QuerySet[Order]:
    """Those of `orders` placed at `moment` or later, by id."""
    return orders.filter(id__gte=first_id_at(moment))


def made_before_but_changed_since(
    orders: QuerySet[Order], *, moment: datetime, within: Q
) -> QuerySet[Order]:
    """The others of `orders` that were changed since `moment`; `within` bounds their ids.

    These are the few that were in progress at that time, and single older ones.
    """
    older = Order.objects.filter(within, id__lt=first_id_at(moment), updated_at__gte=moment)
    return orders.filter(_is_any_of(older.order_by().values("pk")))


def _ids_fitting(word: str) -> QuerySet[Order, Any]:
    orders = Order.objects.filter(deleted_at=None).alias(end=Reverse("number")).order_by()
    begin, end = word.upper(), word.upper()[::-1]
    # As ranges, which can use an index for any word; LIKE only with a constant pattern.
    customers = User.objects.filter(Q(email__icontains=word) | Q(full_name__icontains=word))
    beginning = orders.filter(number__gte=begin, number__lt=begin + _LAST).values("pk")
    ending = orders.filter(end__gte=end, end__lt=end + _LAST).values("pk")
    return beginning.union(
        ending,
        orders.filter(reference=word).values("pk"),
        orders.filter(_is_any_of(customers.values("pk"), "customer_id")).values("pk"),
        all=True,
    )


def _is_any_of(ids: QuerySet[Any, Any], field: str = "pk") -> Func:
    return Func(
        F(field),
        ArraySubquery(ids),
        template="%(expressions)s)",
        arg_joiner=" = ANY(",
        output_field=BooleanField(),
    )
