"""The actions of staff on quantities of an order, and on its texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.enums import ActionVariant

from oms.backoffice.actions import AdminAction
from oms.backoffice.display import money
from oms.core.actor import Actor
from oms.core.permissions import Permission
from orders.admin.corrections import CORRECTIONS
from orders.admin.item_forms import CancelItemsForm, RecordReturnForm, RefundItemsForm
from orders.admin.presenter import OrderPresenter
from orders.operations.cancellations import cancel_items
from orders.operations.receiving import record_return
from orders.operations.refunding import refund_payment

Values = Mapping[str, Any]


def refund_permission(subject: OrderPresenter) -> Sequence[Permission]:
    """What cancelling needs besides, as it refunds what was paid."""
    return [Permission.PAYMENTS_REFUND] if subject.refundable_payments else []


def _cancel_items(actor: Actor, subject: OrderPresenter, values: Values) -> str:
    cancellation, _order = cancel_items(
        actor=actor,
        order_id=subject.order.id,
        items=values["items"],
        reason=values["reason"],
        expected_version=values["expected_version"],
    )
    count = sum(item.quantity for item in values["items"])
    text = ngettext("%(count)d item cancelled", "%(count)d items cancelled", count)
    said = text % {"count": count}
    if cancellation.refund_id is None:
        return f"{said}."
    amount = money(cancellation.amount, cancellation.currency)
    return gettext("%(cancelled)s, worth %(amount)s. What was paid is refunded.") % {
        "cancelled": said,
        "amount": amount,
    }


def _refund_items(actor: Actor, subject: OrderPresenter, values: Values) -> str:
    refund = refund_payment(
        actor=actor,
        payment_id=values["payment"],
        items=values["items"],
        reason=values["reason"],
        expected_version=values["expected_version"],
    )
    amount = money(refund.amount, refund.currency)
    return gettext("Refund of %(amount)s requested.") % {"amount": amount}


def _record_return(actor: Actor, subject: OrderPresenter, values: Values) -> str:
    record_return(
        actor=actor,
        order_id=subject.order.id,
        items=values["items"],
        reason=values["reason"],
        refund=values["refund"],
        expected_version=values["expected_version"],
    )
    return gettext("Return recorded for order %(number)s.") % {"number": subject.order.number}


ITEM_ACTIONS = (
    AdminAction(
        name="refund_items",
        in_menu=True,
        label=_("Refund items"),
        icon="assignment_return",
        run=_refund_items,
        is_available=lambda subject: bool(subject.payments_for_items),
        form=RefundItemsForm,
        permissions=(Permission.PAYMENTS_VIEW, Permission.PAYMENTS_REFUND),
        explanation=_(
            "Refunds items at their price. Items that were not shipped come first,"
            " and are cancelled."
        ),
    ),
    AdminAction(
        name="record_return",
        in_menu=True,
        label=_("Record a return"),
        icon="move_to_inbox",
        run=_record_return,
        is_available=lambda subject: any(item.left_to_return for item in subject.items),
        form=RecordReturnForm,
        permissions=(Permission.RETURNS_HANDLE,),
        explanation=_("For items that came back without a request. Enter what arrived."),
    ),
    *CORRECTIONS,
    AdminAction(
        name="cancel_items",
        in_menu=True,
        label=_("Cancel items"),
        icon="remove_shopping_cart",
        run=_cancel_items,
        is_available=lambda subject: subject.order.holds_stock,
        form=CancelItemsForm,
        permissions=(Permission.ORDERS_CANCEL,),
        permissions_for=refund_permission,
        variant=ActionVariant.DANGER,
        explanation=_(
            "Enter the quantities that won't be shipped. Their stock is released,"
            " and what was paid for them is refunded. This can't be undone."
        ),
    ),
)
