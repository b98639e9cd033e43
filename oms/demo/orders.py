"""Placing the demo shop's orders and applying actions to them, by the operations of the shop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from uuid import UUID

from inventory.models import Product
from oms.core import clock
from oms.core.actor import SEED_REQUEST_ID, Actor, system
from oms.core.money import rounded
from oms.demo.accounts import Customer
from oms.demo.scenarios import Action, PlannedOrder
from oms.events.models import Event
from oms.events.relay import recorded
from orders.models import OrderItem
from orders.operations.allocating import EVENT_TYPES as ALLOCATION_EVENTS
from orders.operations.allocating import apply_allocation_events
from orders.operations.cancelling import cancel_order, expire_overdue
from orders.operations.fulfilling import ship_items
from orders.operations.paying import EVENT_TYPES, apply_payment_events
from orders.operations.placing import place_order
from orders.operations.quantities import ItemQuantity
from orders.operations.refunding import refund_payment
from orders.operations.requesting_payments import pay_order
from orders.operations.status_changes import set_order_status
from orders.placements import OrderedItem, PaymentChoice, Placement
from orders.states import OrderStatus
from payments.gateways.base import ChargeResult, ChargeStatus, GatewayUnknownOutcome, RefundResult
from payments.gateways.base import RefundStatus as RefundOutcome
from payments.models import Payment, Refund
from payments.operations.outcomes import record_charge, record_refund
from payments.operations.rescheduling import reschedule_payment
from payments.states import PaymentStatus

_CARRIERS = ("DHL", "DPD", "GLS", "UPS")
_PAYMENTS = system("payments", request_id=SEED_REQUEST_ID)
# What the sandbox provider answers to these tokens.
_DECLINES = {
    "tok_declined": ("card_declined", "The bank declined the card."),
    "tok_insufficient_funds": (
        "insufficient_funds",
        "The account does not hold enough money.",
    ),
}


@dataclass(kw_only=True)
class DemoOrder:
    """An order with the actions still to come."""

    plan: PlannedOrder
    customer: Customer
    products: Sequence[Product]
    staff: Actor
    id: UUID = field(init=False)
    random: Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = Random(self.plan.seed)

    def place(self) -> None:
        """Place it at the time of the clock."""
        token = "tok_success"  # noqa: S105
        if Action.DECLINE in self.plan.actions:
            token = self.random.choice(list(_DECLINES))
        payment = PaymentChoice(provider="sandbox", token=token)
        placement = Placement(
            customer_id=_id_of(self.customer.actor),
            items=[
                OrderedItem(product_id=self.products[index].id, quantity=quantity)
                for index, quantity in self.plan.lines
            ],
            shipping_address=self.customer.address,
            payment=payment if self.plan.with_payment else None,
            note=self.plan.note,
        )
        self.id = place_order(actor=self.customer.actor, placement=placement).order.id

    def apply(self, action: Action) -> None:
        """Apply the action at the time of the clock."""
        _ACTIONS[action](self)

    def payment(self) -> Payment:
        """The latest one."""
        return Payment.objects.filter(order_id=self.id).latest("id")

    def set_status(self, status: OrderStatus, *, reason: str = "") -> None:
        set_order_status(actor=self.staff, order_id=self.id, status=status, reason=reason)

    def ship(self, items: Sequence[ItemQuantity] | None = None) -> None:
        """Ship those items, or all that is left."""
        carrier = self.random.choice(_CARRIERS)
        ship_items(
            actor=self.staff,
            order_id=self.id,
            items=items,
            carrier=carrier,
            tracking_number=f"{carrier}{self.random.randrange(10**10):010d}",
        )


def _capture(order: DemoOrder) -> None:
    _record_charge(order, ChargeStatus.CAPTURED)


def _decline(order: DemoOrder) -> None:
    _record_charge(order, ChargeStatus.DECLINED)


def _record_charge(order: DemoOrder, status: ChargeStatus) -> None:
    payment = order.payment()
    code, message = _DECLINES.get(payment.token, ("", ""))
    result = ChargeResult(
        status=status,
        provider_reference=f"ch_{order.random.getrandbits(96):024x}",
        amount=payment.amount,
        currency=payment.currency,
        captured_amount=payment.amount,
        refunded_amount=payment.refunded_amount,
        decline_code=code,
        decline_message=message,
    )
    record_charge(actor=_PAYMENTS, payment_id=payment.id, result=result)
    _relay(payment.id)


def _time_out(order: DemoOrder) -> None:
    payment = order.payment()
    # As a worker claims it before it calls the provider.
    payment.status, payment.attempts = PaymentStatus.PROCESSING, 1
    payment.save(update_fields=["status", "attempts"])
    error = GatewayUnknownOutcome("ReadTimeout in POST /v1/charges")
    reschedule_payment(payment=payment, error=error, actor=_PAYMENTS)
    _relay(payment.id)


def _retry_payment(order: DemoOrder) -> None:
    choice = PaymentChoice(provider="sandbox", token="tok_success")  # noqa: S106
    pay_order(actor=order.customer.actor, order_id=order.id, choice=choice)


def _process(order: DemoOrder) -> None:
    order.set_status(OrderStatus.PROCESSING)


def _hold(order: DemoOrder) -> None:
    order.set_status(OrderStatus.ON_HOLD, reason="The address is being checked.")


def _resume(order: DemoOrder) -> None:
    order.set_status(OrderStatus.CONFIRMED, reason="The address is correct.")


def _ship_part(order: DemoOrder) -> None:
    """The first line, or half of the only one."""
    items = list(OrderItem.objects.filter(order_id=order.id).order_by("position"))
    quantity = items[0].quantity if len(items) > 1 else items[0].quantity // 2
    order.ship([ItemQuantity(order_item_id=items[0].id, quantity=quantity)])


def _deliver(order: DemoOrder) -> None:
    order.set_status(OrderStatus.DELIVERED)


def _cancel(order: DemoOrder) -> None:
    reason = order.random.choice(("Ordered by mistake.", "Found it elsewhere.", ""))
    cancel_order(actor=order.customer.actor, order_id=order.id, reason=reason)


def _expire(order: DemoOrder) -> None:
    expire_overdue([order.id], at=clock.now())


def _refund_part(order: DemoOrder) -> None:
    payment = order.payment()
    share = order.random.choice((10, 20, 25, 50))
    amount = rounded(payment.amount * share / 100, payment.currency)
    reason = order.random.choice(("Arrived late.", "Scratched in transit."))
    refund_payment(actor=order.staff, payment_id=payment.id, amount=amount, reason=reason)


def _return(order: DemoOrder) -> None:
    payment = order.payment()
    refund_payment(actor=order.staff, payment_id=payment.id, reason="Returned.", restock=True)


def _settle_refund(order: DemoOrder) -> None:
    refund = Refund.objects.select_related("payment").filter(order_id=order.id).latest("id")
    result = RefundResult(
        status=RefundOutcome.SUCCEEDED,
        provider_reference=f"re_{order.random.getrandbits(96):024x}",
        charge_reference=refund.payment.provider_reference,
        amount=refund.amount,
    )
    record_refund(actor=_PAYMENTS, refund_id=refund.id, result=result)
    _relay(refund.id)


_ACTIONS: Mapping[Action, Callable[[DemoOrder], None]] = {
    Action.DECLINE: _decline,
    Action.RETRY_PAYMENT: _retry_payment,
    Action.TIME_OUT: _time_out,
    Action.CAPTURE: _capture,
    Action.PROCESS: _process,
    Action.HOLD: _hold,
    Action.RESUME: _resume,
    Action.SHIP_PART: _ship_part,
    Action.SHIP: DemoOrder.ship,
    Action.DELIVER: _deliver,
    Action.CANCEL: _cancel,
    Action.EXPIRE: _expire,
    Action.REFUND_PART: _refund_part,
    Action.RETURN: _return,
    Action.SETTLE_REFUND: _settle_refund,
}


def _relay(object_id: UUID) -> None:
    """Hand the latest event of a payment or refund to the orders, as the relay would."""
    types = [event_type.type for event_type in EVENT_TYPES]
    event = Event.objects.filter(object_id=object_id, type__in=types).latest("id")
    apply_payment_events([recorded(event)])


def relay_allocations() -> None:
    """Hand all events of allocations to the orders, as the relay would."""
    types = [event_type.type for event_type in ALLOCATION_EVENTS]
    events = Event.objects.filter(type__in=types).order_by("position")
    apply_allocation_events([recorded(event) for event in events])


def _id_of(actor: Actor) -> UUID:
    assert actor.id is not None
    return actor.id
