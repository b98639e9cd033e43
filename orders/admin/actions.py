"""What staff may do to an order: each step with when it is offered and which operation it calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.enums import ActionVariant

from oms.backoffice.actions import BulkAction, Step
from oms.backoffice.display import money
from oms.core.actor import Actor
from orders.admin.forms import (
    CancelForm,
    CarrierForm,
    ReasonForm,
    RefundForm,
    ShipForm,
    ShipPartForm,
)
from orders.admin.presenter import OrderPresenter
from orders.models import Order
from orders.operations.cancelling import cancel_order
from orders.operations.fulfilling import ship_items
from orders.operations.refunding import refund_payment
from orders.operations.status_changes import allowed_by_hand, set_order_status
from orders.states import OrderStatus
from payments.operations.refunds import request_capture, request_void

Values = Mapping[str, Any]


def _may_go_to(status: OrderStatus) -> Callable[[OrderPresenter], bool]:
    return lambda file: status in allowed_by_hand(file.order)


def _go_to(status: OrderStatus) -> Callable[[Actor, OrderPresenter, Values], str]:
    def run(actor: Actor, file: OrderPresenter, values: Values) -> str:
        order = set_order_status(
            actor=actor,
            order_id=file.order.id,
            status=status,
            reason=values.get("reason", ""),
        )
        return _now("%(number)s is %(status)s now.") % {
            "number": order.number,
            "status": order.get_status_display(),
        }

    return run


def _ship(actor: Actor, file: OrderPresenter, values: Values) -> str:
    shipment = ship_items(
        actor=actor,
        order_id=file.order.id,
        items=values.get("items"),
        carrier=values["carrier"],
        tracking_number=values["tracking_number"],
    )
    return _now("A parcel of %(number)s is on its way%(tracking)s.") % {
        "number": file.order.number,
        "tracking": f" ({shipment.tracking_number})" if shipment.tracking_number else "",
    }


def _cancel(actor: Actor, file: OrderPresenter, values: Values) -> str:
    order = cancel_order(actor=actor, order_id=file.order.id, reason=values["reason"])
    return _now("%(number)s is cancelled; its stock is free, and what was paid goes back.") % {
        "number": order.number
    }


def _refund(actor: Actor, file: OrderPresenter, values: Values) -> str:
    refund = refund_payment(
        actor=actor,
        payment_id=values["payment"],
        amount=values["amount"],
        reason=values["reason"],
        restock=values.get("restock", False),
    )
    return _now("%(amount)s go back to the customer.") % {
        "amount": money(refund.amount, refund.currency)
    }


def _capture(actor: Actor, file: OrderPresenter, values: Values) -> str:
    if file.authorised is not None:
        request_capture(actor=actor, payment_id=file.authorised.id)
    return _now("The money is being taken.")


def _void(actor: Actor, file: OrderPresenter, values: Values) -> str:
    if file.authorised is not None:
        request_void(actor=actor, payment_id=file.authorised.id)
    return _now("The authorisation is being let go.")


def _what_is_left(file: OrderPresenter) -> Sequence[str]:
    return [
        f"{item.left_to_ship} × {item.name} ({item.sku})"
        for item in file.items
        if item.left_to_ship
    ]


def _is_shippable(file: OrderPresenter) -> bool:
    return file.order.is_shippable


def _is_divisible(file: OrderPresenter) -> bool:
    return file.order.is_shippable and file.pieces_left > 1


STEPS = (
    Step(
        name="confirm",
        label=_("Confirm"),
        icon="check",
        run=_go_to(OrderStatus.CONFIRMED),
        is_offered=lambda file: (
            file.order.status == OrderStatus.PENDING
            and OrderStatus.CONFIRMED in allowed_by_hand(file.order)
        ),
        form=ReasonForm,
        explanation=_("The order goes on although it is not paid; its time no longer runs out."),
    ),
    Step(
        name="ship",
        label=_("Ship"),
        icon="local_shipping",
        run=_ship,
        is_offered=_is_shippable,
        form=ShipForm,
        variant=ActionVariant.PRIMARY,
        explanation=_("All that is left of the order goes into one parcel and leaves the stock:"),
        details=_what_is_left,
    ),
    Step(
        name="ship_part",
        is_rare=True,
        label=_("Ship a part"),
        icon="package_2",
        run=_ship,
        is_offered=_is_divisible,
        form=ShipPartForm,
        explanation=_("Choose what goes into this parcel; the rest stays reserved."),
    ),
    Step(
        name="start_processing",
        label=_("Start processing"),
        icon="play_arrow",
        run=_go_to(OrderStatus.PROCESSING),
        is_offered=_may_go_to(OrderStatus.PROCESSING),
        form=ReasonForm,
    ),
    Step(
        name="release",
        label=_("Release"),
        icon="lock_open",
        run=_go_to(OrderStatus.CONFIRMED),
        is_offered=lambda file: (
            file.order.status == OrderStatus.ON_HOLD
            and OrderStatus.CONFIRMED in allowed_by_hand(file.order)
        ),
        form=ReasonForm,
        explanation=_("The order goes on from where it was held: it is confirmed again."),
    ),
    Step(
        name="deliver",
        label=_("Mark as delivered"),
        icon="task_alt",
        run=_go_to(OrderStatus.DELIVERED),
        is_offered=_may_go_to(OrderStatus.DELIVERED),
        form=ReasonForm,
        variant=ActionVariant.PRIMARY,
    ),
    Step(
        name="hold",
        is_rare=True,
        label=_("Hold"),
        icon="pause",
        run=_go_to(OrderStatus.ON_HOLD),
        is_offered=_may_go_to(OrderStatus.ON_HOLD),
        form=ReasonForm,
        explanation=_("Nothing is shipped until it is released; its stock stays reserved."),
    ),
    Step(
        name="capture",
        is_rare=True,
        label=_("Capture payment"),
        icon="payments",
        run=_capture,
        is_offered=lambda file: file.authorised is not None,
        permissions=("orders.change_order", "payments.change_payment"),
        explanation=_("Take the money that the customer's bank has set aside."),
    ),
    Step(
        name="void",
        is_rare=True,
        label=_("Void payment"),
        icon="money_off",
        run=_void,
        is_offered=lambda file: file.authorised is not None,
        permissions=("orders.change_order", "payments.change_payment"),
        variant=ActionVariant.DANGER,
        explanation=_("Let go of the money that is set aside; nothing can be captured after it."),
    ),
    Step(
        name="refund",
        is_rare=True,
        label=_("Refund"),
        icon="undo",
        run=_refund,
        is_offered=lambda file: bool(file.refundable),
        form=RefundForm,
        permissions=("orders.change_order", "payments.add_refund"),
        explanation=_("The money goes back the way it came. The order's status stays as it is."),
    ),
    Step(
        name="cancel",
        label=_("Cancel order"),
        icon="cancel",
        run=_cancel,
        is_offered=_may_go_to(OrderStatus.CANCELLED),
        form=CancelForm,
        variant=ActionVariant.DANGER,
        explanation=_("Its stock is released, and what was paid goes back. This is final."),
        details=_what_is_left,
    ),
)


def _start_one(actor: Actor, order: Order, values: Values) -> None:
    set_order_status(actor=actor, order_id=order.id, status=OrderStatus.PROCESSING)


def _ship_one(actor: Actor, order: Order, values: Values) -> None:
    ship_items(actor=actor, order_id=order.id, carrier=values["carrier"])


def _cancel_one(actor: Actor, order: Order, values: Values) -> None:
    cancel_order(actor=actor, order_id=order.id, reason=values["reason"])


BULK_STEPS = (
    BulkAction(name="start_processing_all", label=_("Start processing"), run=_start_one),
    BulkAction(name="ship_all", label=_("Ship all that is left"), run=_ship_one, form=CarrierForm),
    BulkAction(
        name="cancel_all",
        label=_("Cancel orders"),
        run=_cancel_one,
        form=CancelForm,
        variant=ActionVariant.DANGER,
        explanation=_("Their stock is released, and what was paid goes back. This is final."),
    ),
)
