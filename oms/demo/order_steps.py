"""The steps of an order's way that are about its goods and its status."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from oms.core.actor import Actor, system
from oms.demo.events import Journal
from oms.demo.payment_steps import Money
from oms.demo.plans import Step
from oms.demo.randomness import Dice
from oms.demo.simulated_order import Life, Parcel
from oms.demo.stock import Cause, Pieces, Warehouse
from orders.events import OrderPlaced, ShipmentSent
from orders.operations.transitions import STATUS_EVENTS
from orders.states import FulfilmentState, OrderStatus

_CARRIERS = ("DHL", "DPD", "GLS", "Post")
_EXPIRY = system("expiry")


@dataclass(frozen=True, kw_only=True)
class Goods:
    """Places, moves, ships and cancels orders."""

    journal: Journal
    warehouse: Warehouse
    money: Money
    dice: Dice
    staff: Actor

    def steps(self) -> Mapping[Step, Callable[[Life, datetime], None]]:
        """What carries out each step."""
        return {
            Step.PROCESS: self.process,
            Step.HOLD: self.hold,
            Step.RESUME: self.resume,
            Step.SHIP_SOME: self.ship_some,
            Step.SHIP: self.ship,
            Step.DELIVER: self.deliver,
            Step.CANCEL: self.cancel,
            Step.EXPIRE: self.expire,
        }

    def place(self, life: Life, at: datetime) -> None:
        """The customer places the order; its stock is reserved."""
        cause = self._cause(life, life.customer)
        for line in life.lines:
            life.reserved |= self.warehouse.reserve(line.product, line.quantity, cause=cause, at=at)
        self.journal.tell(
            OrderPlaced(
                **life.fact(),
                status=OrderStatus.PENDING.value,
                total=life.total,
                currency=life.currency,
            ),
            actor=life.customer,
            at=at,
        )
        if life.plan.with_payment:
            declined = Step.DECLINE in life.plan.steps
            self.money.begin(life, at, token=life.plan.declined_as if declined else "tok_success")

    def process(self, life: Life, at: datetime) -> None:
        """Staff begin to pack."""
        self._move(life, OrderStatus.PROCESSING, actor=self.staff, at=at)

    def hold(self, life: Life, at: datetime) -> None:
        """Staff put it on hold."""
        life.resumes_to = life.status
        reason = "The address is being checked."
        self._move(life, OrderStatus.ON_HOLD, actor=self.staff, at=at, reason=reason)

    def resume(self, life: Life, at: datetime) -> None:
        """Staff let it go on."""
        reason = "The address is right."
        self._move(life, life.resumes_to, actor=self.staff, at=at, reason=reason)

    def ship_some(self, life: Life, at: datetime) -> None:
        """A first parcel: the first line, or half of the only one."""
        line = life.lines[0]
        pieces = line.quantity if len(life.lines) > 1 else line.quantity // 2
        self._send(life, {0: pieces}, at=at)

    def ship(self, life: Life, at: datetime) -> None:
        """A parcel with all that is left."""
        left = {n: line.quantity - line.shipped for n, line in enumerate(life.lines)}
        self._send(life, {n: pieces for n, pieces in left.items() if pieces}, at=at)

    def deliver(self, life: Life, at: datetime) -> None:
        """Everything has arrived."""
        life.delivered_at = at
        life.fulfilment = FulfilmentState.DELIVERED
        self._move(life, OrderStatus.DELIVERED, actor=self.staff, at=at)

    def cancel(self, life: Life, at: datetime) -> None:
        """The customer cancels; stock and money go back."""
        reason = life.random.choice(("Ordered by mistake.", "Found it elsewhere.", ""))
        self._move(life, OrderStatus.CANCELLED, actor=life.customer, at=at, reason=reason)
        self.money.give_back(
            life, at, actor=life.customer, reason=reason or "The order was cancelled."
        )
        self._release(life, actor=life.customer, at=at)

    def expire(self, life: Life, at: datetime) -> None:
        """Nobody paid in time."""
        assert life.expires_at is not None, "it is pending"
        minutes = (life.expires_at - life.placed_at).total_seconds() / 60
        reason = f"not paid within {minutes:.0f} minutes"
        self._move(life, OrderStatus.EXPIRED, actor=_EXPIRY, at=at, reason=reason)
        self._release(life, actor=_EXPIRY, at=at)

    def _release(self, life: Life, *, actor: Actor, at: datetime) -> None:
        self.warehouse.release(life.reserved, cause=self._cause(life, actor), at=at)
        life.reserved.clear()

    def _move(
        self, life: Life, status: OrderStatus, *, actor: Actor, at: datetime, reason: str = ""
    ) -> None:
        previous = life.move_to(status, at=at)
        fact = STATUS_EVENTS[status](
            **life.fact(), previous_status=previous, status=status.value, reason=reason
        )
        self.journal.tell(fact, actor=actor, at=at)

    def _send(self, life: Life, pieces_of_lines: Mapping[int, int], *, at: datetime) -> None:
        """A parcel with that many pieces of the lines, by their numbers."""
        carrier = life.random.choice(_CARRIERS)
        parcel = Parcel(
            id=self.dice.id_at(at),
            items=[
                (self.dice.id_at(at), life.lines[number].id, pieces)
                for number, pieces in pieces_of_lines.items()
            ],
            carrier=carrier,
            tracking_number=f"{carrier.upper()}{life.random.randrange(10**10):010d}",
            at=at,
        )
        life.parcels.append(parcel)
        leaving: Pieces = {}
        for number, pieces in pieces_of_lines.items():
            line = life.lines[number]
            line.shipped += pieces
            for where in sorted(w for w in life.reserved if w[0] == line.product):
                leaving[where] = min(life.reserved[where], pieces)
                pieces -= leaving[where]
        is_complete = all(line.shipped == line.quantity for line in life.lines)
        if is_complete:
            life.fulfilment = FulfilmentState.SHIPPED
            self._move(life, OrderStatus.SHIPPED, actor=self.staff, at=at)
        else:
            life.fulfilment = FulfilmentState.PARTIALLY_SHIPPED
            life.touch(at=at)
        self._leave(life, {where: n for where, n in leaving.items() if n}, parcel=parcel)
        self.journal.tell(
            ShipmentSent(
                **life.fact(),
                shipment_id=parcel.id,
                carrier=carrier,
                tracking_number=parcel.tracking_number,
                is_complete=is_complete,
                pieces=sum(pieces_of_lines.values()),
            ),
            actor=self.staff,
            at=at,
        )

    def _leave(self, life: Life, pieces: Pieces, *, parcel: Parcel) -> None:
        cause = Cause(actor=self.staff, reference=f"shipment:{parcel.id}", order_id=life.id)
        self.warehouse.ship(pieces, cause=cause, at=parcel.at)
        for where, quantity in pieces.items():
            life.shipped[where] = life.shipped.get(where, 0) + quantity
            life.reserved[where] -= quantity
            if not life.reserved[where]:
                del life.reserved[where]

    def _cause(self, life: Life, actor: Actor) -> Cause:
        return Cause(actor=actor, reference=f"order:{life.id}:v{life.version}", order_id=life.id)
