"""The history of an order in the back office."""

from __future__ import annotations

import pytest

from oms.events.types import event_types
from oms.testing.factories import actor_for, make_product
from oms.testing.ordering import shipped_order
from orders.admin.history import TITLES, history_lines
from orders.operations.returns import ReturnedItem, request_return


def test_every_event_of_orders_and_returns_has_a_title() -> None:
    own = {type_ for type_, cls in event_types().items() if cls.object_type in ("order", "return")}
    assert own == TITLES.keys()


@pytest.mark.django_db
def test_returns_are_part_of_the_history() -> None:
    order = shipped_order((make_product(stock=5), 2))
    [item] = order.items.all()
    request_return(
        actor=actor_for(order.customer),
        order_id=order.id,
        items=[ReturnedItem(order_item_id=item.id, quantity=1, reason="Too small.")],
    )

    titles = [str(line.title) for line in history_lines(order.id)]
    assert titles[0] == "Return requested"
    assert titles[-1] == "Placed"
