"""Operations that the back office alone calls ask for their permissions too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from inventory.models import Location
from inventory.operations.locations import change_location, create_location
from notifications.models import Notification
from notifications.operations.retrying import retry_notification
from oms.core.actor import Actor, ActorKind
from oms.core.errors import OperationError, PermissionDenied
from oms.core.ids import new_id
from oms.core.permissions import Permission
from oms.events.dead_letters import retry_dead_letter
from oms.testing.factories import ANONYMOUS
from oms.tests.attacks.shop import Shop, database_digest
from oms.users.operations.password_links import invite_staff_member
from orders.operations.placing import place_order
from orders.placements import OrderedItem, Placement
from payments.operations.refunds import request_capture, request_refund, request_void
from payments.operations.retrying import retry_now

pytestmark = pytest.mark.django_db
P = Permission

OPERATIONS: dict[str, tuple[tuple[Permission, ...], Callable[[Actor, Shop], Any]]] = {
    "retry a payment": (
        (P.PAYMENTS_VIEW, P.PAYMENTS_RETRY),
        lambda actor, shop: retry_now(actor=actor, work=shop.payment),
    ),
    "capture": (
        (P.PAYMENTS_VIEW, P.PAYMENTS_RETRY),
        lambda actor, shop: request_capture(actor=actor, payment_id=shop.payment.id),
    ),
    "void": (
        (P.PAYMENTS_VIEW, P.PAYMENTS_RETRY),
        lambda actor, shop: request_void(actor=actor, payment_id=shop.payment.id),
    ),
    "refund": (
        (P.PAYMENTS_VIEW, P.PAYMENTS_REFUND),
        lambda actor, shop: request_refund(actor=actor, payment_id=shop.payment.id),
    ),
    "resend a mail": (
        (P.CUSTOMERS_VIEW,),
        lambda actor, shop: retry_notification(
            actor=actor, notification_id=Notification.objects.get().pk
        ),
    ),
    "retry an event": (
        (P.AUDIT_VIEW,),
        lambda actor, shop: retry_dead_letter(actor=actor, dead_letter_id=1),
    ),
    "add a location": (
        (P.STOCK_VIEW, P.STOCK_ADJUST),
        lambda actor, shop: create_location(actor=actor, code="north", name="North"),
    ),
    "change a location": (
        (P.STOCK_VIEW, P.STOCK_ADJUST),
        lambda actor, shop: change_location(
            actor=actor,
            location_id=Location.objects.get(is_default=True).id,
            values={"name": "North"},
        ),
    ),
    "send a password link": (
        (P.STAFF_MANAGE,),
        lambda actor, shop: invite_staff_member(actor=actor, user_id=shop.member.id),
    ),
    "place an order for a customer": (
        (P.ORDERS_PLACE_FOR_CUSTOMER,),
        lambda actor, shop: place_order(
            actor=actor,
            placement=Placement(
                customer_id=shop.owner.id,
                items=[OrderedItem(product_id=shop.product.id, quantity=1)],
                shipping_address=shop.order.shipping_address,
            ),
        ),
    ),
}


def staff(*permissions: Permission) -> Actor:
    return Actor(
        kind=ActorKind.STAFF,
        id=new_id(),
        label="sam@example.com",
        permissions=frozenset(permissions),
    )


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_asks_for_each_of_its_permissions(name: str, shop: Shop) -> None:
    needed, operation = OPERATIONS[name]
    before = database_digest()

    for missing in needed:
        with pytest.raises(PermissionDenied) as refusal:
            operation(staff(*(set(Permission) - {missing})), shop)
        assert refusal.value.permission is missing
    customer = Actor(kind=ActorKind.CUSTOMER, id=new_id(), label="c@example.com")
    for nobody in (staff(), ANONYMOUS, customer):
        with pytest.raises(PermissionDenied):
            operation(nobody, shop)

    assert database_digest() == before
    try:
        operation(staff(*needed), shop)
    except PermissionDenied:
        raise
    except OperationError:
        pass  # for another reason, such as a payment that is captured already
