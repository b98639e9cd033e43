"""The actions of staff on orders: when each is available, and the operation it calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.enums import ActionVariant

from oms.backoffice.actions import AdminAction
from oms.backoffice.display import money
from oms.core.actor import Actor
from oms.core.permissions import Permission
from orders.admin.forms import (
    CancelForm,
    CarrierForm,
    ReasonForm,
    RefundForm,
    ShipmentForm,
)
from orders.admin.item_actions import ITEM_ACTIONS, refund_permission
from orders.admin.item_forms import PartialShipmentForm, lines_waiting
from orders.admin.presenter import OrderPresenter
from orders.operations.cancelling import cancel_order
from orders.operations.fulfilling import ship_items
from orders.operations.refunding import refund_payment
from orders.operations.status_changes import (
    allowed_for_staff,
    permissions_for,
    set_order_status,
    status_after_hold,
)
from orders.states import OrderStatus
from payments.operations.refunds import request_capture, request_void

Values = Mapping[str, Any]
_HANDLE_PAYMENT = (Permission.PAYMENTS_VIEW, Permission.PAYMENTS_RETRY)
_CANCELLATION = _("Releases the reserved stock and refunds any payment. This can't be undone.")


def _allows(
    status: OrderStatus, *, current: OrderStatus | None = None
) -> Callable[[OrderPresenter], bool]:
    """Whether staff may set the order to `status`; with `current`, only from that one."""

    def is_available(subject: OrderPresenter) -> bool:
        order = subject.order
        return current in (None, order.status) and status in allowed_for_staff(order)

    return is_available


def _set_status(status: OrderStatus) -> Callable[[Actor, OrderPresenter, Values], str]:
    def run(actor: Actor, subject: OrderPresenter, values: Values) -> str:
        reason = values.get("reason", "")
        order = set_order_status(
            actor=actor,
            order_id=subject.order.id,
            status=status,
            reason=reason,
            expected_version=values["expected_version"],
        )
        text = gettext("Order %(number)s is now %(status)s.")
        return text % {"number": order.number, "status": order.get_status_display()}

    return run


def _release(actor: Actor, subject: OrderPresenter, values: Values) -> str:
    return _set_status(status_after_hold(subject.order))(actor, subject, values)


def _ship(actor: Actor, subject: OrderPresenter, values: Values) -> str:
    shipment = ship_items(
        actor=actor,
        order_id=subject.order.id,
        items=values.get("items"),
        carrier=values["carrier"],
        tracking_number=values.get("tracking_number", ""),
        expected_version=values["expected_version"],
    )
    if not shipment.tracking_number:
        return gettext("Shipment created for order %(number)s.") % {"number": subject.order.number}
    text = gettext("Shipment created for order %(number)s, tracking number %(tracking)s.")
    return text % {"number": subject.order.number, "tracking": shipment.tracking_number}


def _cancel(actor: Actor, subject: OrderPresenter, values: Values) -> str:
    order = cancel_order(
        actor=actor,
        order_id=subject.order.id,
        reason=values["reason"],
        expected_version=values["expected_version"],
    )
    text = gettext("Order %(number)s cancelled. Stock was released; any payment is refunded.")
    return text % {"number": order.number}


def _refund(actor: Actor, subject: OrderPresenter, values: Values) -> str:
    refund = refund_payment(
        actor=actor,
        payment_id=values["payment"],
        amount=values["amount"],
        reason=values["reason"],
        restock=values.get("restock", False),
        expected_version=values["expected_version"],
    )
    amount = money(refund.amount, refund.currency)
    return gettext("Refund of %(amount)s requested.") % {"amount": amount}


def _capture(actor: Actor, subject: OrderPresenter, values: Values) -> str:
    request_capture(actor=actor, payment_id=subject.authorised_payment.id)
    return gettext("Capture requested.")


def _void(actor: Actor, subject: OrderPresenter, values: Values) -> str:
    request_void(actor=actor, payment_id=subject.authorised_payment.id)
    return gettext("Void requested.")


def _has_authorised_payment(subject: OrderPresenter) -> bool:
    return subject.authorised_payment is not None


def _lines_to_cancel(subject: OrderPresenter) -> Sequence[str]:
    return [f"{item.left_to_ship} × {item.name} ({item.sku})" for item in subject.items_to_ship]


def _lines_to_ship(subject: OrderPresenter) -> Sequence[str]:
    """What a shipment has in it now, and then what it leaves behind."""
    return [
        *(
            f"{item.allocated} × {item.name} ({item.sku})"
            for item in subject.items
            if item.allocated
        ),
        *lines_waiting(subject),
    ]


OBJECT_ACTIONS = (
    AdminAction(
        name="confirm",
        permissions=(Permission.ORDERS_EDIT,),
        label=_("Confirm"),
        icon="check",
        run=_set_status(OrderStatus.CONFIRMED),
        is_available=_allows(OrderStatus.CONFIRMED, current=OrderStatus.PENDING),
        form=ReasonForm,
        explanation=_("Confirm without payment. The order will no longer expire."),
    ),
    AdminAction(
        name="ship",
        permissions=(Permission.ORDERS_SHIP,),
        label=_("Ship"),
        icon="local_shipping",
        run=_ship,
        is_available=lambda subject: subject.is_shippable,
        form=ShipmentForm,
        variant=ActionVariant.PRIMARY,
        explanation=_("Ships everything that is reserved for the order in one shipment:"),
        details=_lines_to_ship,
    ),
    AdminAction(
        name="ship_part",
        permissions=(Permission.ORDERS_SHIP,),
        in_menu=True,
        label=_("Ship some items"),
        icon="package_2",
        run=_ship,
        is_available=lambda subject: (
            subject.is_shippable and sum(item.allocated for item in subject.items) > 1
        ),
        form=PartialShipmentForm,
        explanation=_("Choose the quantities to ship. The rest stays reserved."),
        details=lines_waiting,
    ),
    AdminAction(
        name="start_processing",
        permissions=(),
        permissions_for=lambda subject: permissions_for(subject.order, OrderStatus.PROCESSING),
        label=_("Start processing"),
        icon="play_arrow",
        run=_set_status(OrderStatus.PROCESSING),
        is_available=_allows(OrderStatus.PROCESSING),
        form=ReasonForm,
    ),
    AdminAction(
        name="release",
        permissions=(Permission.ORDERS_HOLD,),
        permissions_for=lambda subject: permissions_for(
            subject.order, status_after_hold(subject.order)
        ),
        label=_("Release hold"),
        icon="lock_open",
        run=_release,
        is_available=_allows(OrderStatus.CONFIRMED, current=OrderStatus.ON_HOLD),
        form=ReasonForm,
        explanation=_("An order that was not confirmed before waits for its payment again."),
    ),
    AdminAction(
        name="deliver",
        permissions=(Permission.ORDERS_SHIP,),
        label=_("Mark as delivered"),
        icon="task_alt",
        run=_set_status(OrderStatus.DELIVERED),
        is_available=_allows(OrderStatus.DELIVERED),
        form=ReasonForm,
        variant=ActionVariant.PRIMARY,
    ),
    AdminAction(
        name="hold",
        permissions=(Permission.ORDERS_HOLD,),
        in_menu=True,
        label=_("Put on hold"),
        icon="pause",
        run=_set_status(OrderStatus.ON_HOLD),
        is_available=_allows(OrderStatus.ON_HOLD),
        form=ReasonForm,
        explanation=_("The order can't be shipped until it is released. Stock stays reserved."),
    ),
    AdminAction(
        name="capture",
        in_menu=True,
        label=_("Capture payment"),
        icon="payments",
        run=_capture,
        is_available=_has_authorised_payment,
        permissions=_HANDLE_PAYMENT,
        explanation=_("Charges the authorised amount to the customer."),
    ),
    AdminAction(
        name="void",
        in_menu=True,
        label=_("Void payment"),
        icon="money_off",
        run=_void,
        is_available=_has_authorised_payment,
        permissions=_HANDLE_PAYMENT,
        variant=ActionVariant.DANGER,
        explanation=_("Releases the authorised amount. It can't be captured afterwards."),
    ),
    AdminAction(
        name="refund",
        in_menu=True,
        label=_("Refund"),
        icon="undo",
        run=_refund,
        is_available=lambda subject: bool(subject.refundable_payments),
        form=RefundForm,
        permissions=(Permission.PAYMENTS_VIEW, Permission.PAYMENTS_REFUND),
        explanation=_(
            "Refunds to the original payment method. Once everything is refunded, items that were "
            "not shipped are cancelled."
        ),
    ),
    *ITEM_ACTIONS,
    AdminAction(
        name="cancel",
        permissions=(Permission.ORDERS_CANCEL,),
        permissions_for=refund_permission,
        label=_("Cancel order"),
        icon="cancel",
        run=_cancel,
        is_available=_allows(OrderStatus.CANCELLED),
        form=CancelForm,
        variant=ActionVariant.DANGER,
        explanation=_CANCELLATION,
        details=_lines_to_cancel,
    ),
)

BULK_ACTIONS = (
    AdminAction(
        name="start_processing_all",
        permissions=(Permission.ORDERS_SHIP,),
        label=_("Start processing"),
        run=_set_status(OrderStatus.PROCESSING),
    ),
    AdminAction(
        name="ship_all",
        label=_("Ship all items"),
        run=_ship,
        permissions=(Permission.ORDERS_SHIP,),
        form=CarrierForm,
    ),
    AdminAction(
        name="cancel_all",
        permissions=(Permission.ORDERS_CANCEL,),
        label=_("Cancel orders"),
        run=_cancel,
        form=CancelForm,
        variant=ActionVariant.DANGER,
        explanation=_CANCELLATION,
    ),
)
