"""Messages on allocation, corrections, cancellations and returns; see notifications/messages.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from notifications.messages import Lines, Message, listed, money
from notifications.models import Kind
from orders.events import (
    ItemsCancelled,
    OrderCancelled,
    OrderEdited,
    OrderEvent,
    OrderItemsAllocated,
    OrderItemsWaiting,
    ShipmentCorrected,
)
from orders.read_models import OrderSummary
from orders.return_events import (
    ReturnApproved,
    ReturnCancelled,
    ReturnEvent,
    ReturnReceived,
    ReturnRejected,
    ReturnRequested,
)
from orders.states import PaymentState
from orders.tracking import tracking_url


def _order_cancelled(event: OrderCancelled, order: OrderSummary, shipped: Lines) -> Message:
    paragraphs = [_("We won't ship it.")]
    if text := _cancelled_payment(order):
        paragraphs.append(text)
    return Message(
        kind=Kind.ORDER_CANCELLED,
        subject=_("Order %(number)s has been cancelled") % {"number": event.number},
        headline=_("Your order has been cancelled"),
        paragraphs=tuple(paragraphs),
    )


def _cancelled_payment(order: OrderSummary) -> str:
    """What happens to the payment of the cancelled order; "" if there is nothing to say."""
    match order.payment_status:
        case PaymentState.UNPAID | PaymentState.FAILED:
            return ""
        case PaymentState.PROCESSING | PaymentState.UNKNOWN:
            return _("If your payment still goes through, we'll refund it.")
        case PaymentState.AUTHORIZED:
            return _("We'll release the amount that was reserved for your payment.")
        case PaymentState.REFUNDED:
            return _("Your payment was already refunded.")
        case PaymentState.PARTIALLY_REFUNDED:
            return _(
                "We'll refund the rest of your payment; we'll email you when the refund is on its "
                "way."
            )
    if order.is_free:
        return ""
    if not order.total:
        # Its items were cancelled before, paid or not.
        return _("Any payment will be refunded; we'll email you when the refund is on its way.")
    return _("We'll refund your payment; we'll email you when the refund is on its way.")


def _items_cancelled(event: ItemsCancelled, order: OrderSummary, shipped: Lines) -> Message | None:
    if event.cancels_order:  # which has a message of its own
        return None
    text = ngettext(
        "%(quantity)d item of your order was cancelled and won't be shipped.",
        "%(quantity)d items of your order were cancelled and won't be shipped.",
        event.pieces,
    )
    paragraphs = [text % {"quantity": event.pieces}]
    if event.refunded:
        paragraphs.append(
            _("We'll refund %(amount)s; we'll email you when the refund is on its way.")
            % {"amount": money(event.refunded, event.currency)}
        )
    return Message(
        kind=Kind.ITEMS_CANCELLED,
        subject=_("Items of order %(number)s were cancelled") % {"number": event.number},
        headline=_("Some items of your order were cancelled"),
        paragraphs=tuple(paragraphs),
        details=_reason(event.reason),
        lines=order.lines,
        shows_order=True,
    )


def _items_allocated(event: OrderItemsAllocated, order: OrderSummary, shipped: Lines) -> Message:
    return Message(
        kind=Kind.ITEMS_ALLOCATED,
        subject=_("Items of order %(number)s have arrived") % {"number": event.number},
        headline=_("Your items have arrived"),
        paragraphs=(
            _("Items that you were waiting for are reserved for you now."),
            *listed(event.quantities, order),
        ),
    )


def _items_waiting(event: OrderItemsWaiting, order: OrderSummary, shipped: Lines) -> Message:
    return Message(
        kind=Kind.ITEMS_WAITING,
        subject=_("Items of order %(number)s are delayed") % {"number": event.number},
        headline=_("Some of your items are delayed"),
        paragraphs=(
            _("We're sorry: items that we had reserved for you are no longer in stock."),
            *listed(event.quantities, order),
            _("We'll reserve new ones for you as soon as they arrive, and let you know."),
        ),
    )


def _order_edited(event: OrderEdited, order: OrderSummary, shipped: Lines) -> Message | None:
    """About changes by staff alone: customers know their own."""
    texts = {
        "items": (
            Kind.ORDER_EDITED,
            _("Changes to order %(number)s"),
            _("Your order was changed"),
            _("We've changed the items of your order. It costs %(total)s now.")
            % {"total": money(order.total, order.currency)},
        ),
        "shipping_address": (
            Kind.ADDRESS_CORRECTED,
            _("New delivery address for order %(number)s"),
            _("Your delivery address was changed"),
            _("We've changed the delivery address of your order."),
        ),
        "billing_address": (
            Kind.ADDRESS_CORRECTED,
            _("New billing address for order %(number)s"),
            _("Your billing address was changed"),
            _("We've changed the billing address of your order."),
        ),
    }
    changed = [text for name, text in texts.items() if name in event.changes]
    if not changed:
        return None
    kind, subject, headline, _text = changed[0]
    paragraphs = [text for *_rest, text in changed]
    return Message(
        kind=kind,
        subject=subject % {"number": event.number},
        headline=headline,
        paragraphs=(*paragraphs, _("If that isn't right, contact us.")),
        lines=order.lines,
        shows_order=True,
    )


def _shipment_corrected(event: ShipmentCorrected, order: OrderSummary, shipped: Lines) -> Message:
    values = (
        (_("Carrier"), event.carrier),
        (_("Tracking number"), event.tracking_number),
        (_("Track it"), tracking_url(event.carrier, event.tracking_number)),
    )
    tracking = " ".join(filter(None, (event.carrier, event.tracking_number)))
    paragraphs = [_("The tracking details of a shipment of your order were corrected.")]
    if tracking:
        paragraphs.append(_("Tracking: %(tracking)s") % {"tracking": tracking})
    return Message(
        kind=Kind.SHIPMENT_CORRECTED,
        subject=_("New tracking details for order %(number)s") % {"number": event.number},
        headline=_("New tracking details"),
        paragraphs=tuple(paragraphs),
        details=tuple((label, value) for label, value in values if value),
        lines=shipped,
    )


def _return_requested(
    event: ReturnRequested, order: OrderSummary, shipped: Lines
) -> Message | None:
    if event.has_arrived:  # which has a message of its own
        return None
    return _about_return(
        event,
        kind=Kind.RETURN_REQUESTED,
        subject=_("Return of order %(number)s requested"),
        headline=_("We've received your return request"),
        text=_("We'll let you know whether and how to send the items."),
    )


def _return_approved(event: ReturnApproved, order: OrderSummary, shipped: Lines) -> Message:
    return _about_return(
        event,
        kind=Kind.RETURN_APPROVED,
        subject=_("Return of order %(number)s approved"),
        headline=_("Your return was approved"),
        text=_("Please send us the items, packed as you received them."),
    )


def _return_rejected(event: ReturnRejected, order: OrderSummary, shipped: Lines) -> Message:
    return _about_return(
        event,
        kind=Kind.RETURN_REJECTED,
        subject=_("Return of order %(number)s declined"),
        headline=_("We can't accept your return"),
        text=_("Please don't send the items."),
    )


def _return_cancelled(event: ReturnCancelled, order: OrderSummary, shipped: Lines) -> Message:
    return _about_return(
        event,
        kind=Kind.RETURN_CANCELLED,
        subject=_("Return of order %(number)s cancelled"),
        headline=_("Your return was cancelled"),
        text=_("You don't need to send the items."),
    )


def _return_received(event: ReturnReceived, order: OrderSummary, shipped: Lines) -> Message | None:
    if not event.pieces:  # nothing more is expected
        return None
    text = ngettext(
        "%(quantity)d item of your return has arrived.",
        "%(quantity)d items of your return have arrived.",
        event.pieces,
    ) % {"quantity": event.pieces}
    if event.amount:
        text += " " + _("We'll refund %(amount)s; we'll email you when it is on its way.") % {
            "amount": money(event.amount, event.currency)
        }
    return _about_return(
        event,
        kind=Kind.RETURN_RECEIVED,
        subject=_("Return of order %(number)s received"),
        headline=_("Your return has arrived"),
        text=text,
    )


def _about_return(
    event: ReturnEvent, *, kind: Kind, subject: str, headline: str, text: str
) -> Message:
    return Message(
        kind=kind,
        subject=subject % {"number": event.number},
        headline=headline,
        paragraphs=(text,),
        details=_reason(event.reason),
    )


def _reason(reason: str) -> tuple[tuple[str, str], ...]:
    return ((_("Reason"), reason),) if reason else ()


AFTER_SALES_MESSAGES: Mapping[
    type[OrderEvent], Callable[[Any, OrderSummary, Lines], Message | None]
] = {
    OrderItemsAllocated: _items_allocated,
    OrderItemsWaiting: _items_waiting,
    OrderCancelled: _order_cancelled,
    ItemsCancelled: _items_cancelled,
    OrderEdited: _order_edited,
    ShipmentCorrected: _shipment_corrected,
    ReturnRequested: _return_requested,
    ReturnApproved: _return_approved,
    ReturnRejected: _return_rejected,
    ReturnCancelled: _return_cancelled,
    ReturnReceived: _return_received,
}
"""Like ORDER_MESSAGES; None for events of which the customer needs no message."""

SOMETIMES = frozenset({ItemsCancelled, OrderEdited, ReturnRequested, ReturnReceived})
"""The events of which some have no message."""
