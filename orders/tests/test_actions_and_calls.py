"""What `allowed_actions` and exceptions name are calls that exist."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import product
from uuid import UUID

import pytest
from django.urls import resolve

from oms.core.actor import account
from oms.core.clock import now
from oms.core.ids import new_id
from oms.core.permissions import Permission
from oms.exceptions.kinds import KIND_RULES
from orders.operations import allowed_actions
from orders.states import FulfilmentState, OrderStatus, PaymentState

_CALL = re.compile(r"^`(?P<name>[a-z_]+)(?::<s>)?`.* (?P<method>[A-Z]+) +(?P<path>/\S+)$", re.M)
CALLS = {
    call["name"]: (call["method"].lower(), call["path"])
    for call in _CALL.finditer(allowed_actions.__doc__ or "")
}


@dataclass(frozen=True, kw_only=True)
class AnyOrder:
    customer_id: UUID
    status: OrderStatus
    payment_status: PaymentState
    fulfilment_status: FulfilmentState
    total: Decimal
    confirmed_at: datetime | None


def test_every_action_of_any_order_is_a_call_that_is_named() -> None:
    customer, staff = (
        account(
            id=new_id(),
            email="a@example.com",
            is_staff=is_staff,
            is_superuser=False,
            permissions=frozenset(Permission if is_staff else ()),
        )
        for is_staff in (False, True)
    )
    assert customer.id is not None
    named: set[str] = set()
    for statuses in product(OrderStatus, PaymentState, FulfilmentState, (0, 1), (None, now())):
        status, payment_status, fulfilment_status, total, confirmed_at = statuses
        order = AnyOrder(
            customer_id=customer.id,
            status=status,
            payment_status=payment_status,
            fulfilment_status=fulfilment_status,
            total=Decimal(total),
            confirmed_at=confirmed_at,
        )
        for actor in (customer, staff):
            named.update(allowed_actions.allowed_actions(order, actor=actor))

    assert {name.partition(":")[0] for name in named} == CALLS.keys()


@pytest.mark.parametrize("name", CALLS)
def test_every_call_that_is_named_exists(name: str) -> None:
    method, path = CALLS[name]

    found = resolve(f"/api/v1{path.replace('{id}', str(new_id()))}")

    assert method in found.func.actions  # type: ignore[attr-defined]  # of view sets


@pytest.mark.parametrize("kind", KIND_RULES)
def test_what_mends_an_exception_is_a_call_that_exists(kind: str) -> None:
    operations = KIND_RULES[kind].operations

    assert {name.partition(":")[0] for name in operations} <= CALLS.keys()
