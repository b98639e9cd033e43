"""The content of each notification: pure functions from an event to a Message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.utils.formats import number_format
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from inventory.events import ProductBecameAvailable
from notifications.models import Kind
from oms.core.currencies import DECIMALS
from orders.events import (
    OrderDelivered,
    OrderEvent,
    OrderExpired,
    OrderPaid,
    OrderPartiallyPaid,
    OrderPaymentFailed,
    OrderPlaced,
    OrderRefunded,
    ShipmentSent,
)
from orders.read_models import LineSummary, OrderSummary
from orders.states import OrderStatus, PaymentState

Lines = tuple[LineSummary, ...]


@dataclass(frozen=True, kw_only=True)
class Message:
    """A notification before it is rendered for a channel.

    `paragraphs` are the complete text; e-mails add `details` (labels and values), `lines` (a table
    of items), the order's total and address if `shows_order`, and a button for `link`.
    """

    kind: Kind
    subject: str
    headline: str
    paragraphs: tuple[str, ...]
    details: tuple[tuple[str, str], ...] = ()
    lines: Lines = ()
    shows_order: bool = False
    link: str = ""


def money(amount: Decimal, currency: str) -> str:
    """`amount` with the separators of the active language, such as "1,299.00 EUR"."""
    return _formatted(amount, currency, get_language())


@lru_cache(maxsize=4096)  # Prices recur, and Django takes 40 µs to format one.
def _formatted(amount: Decimal, currency: str, language: str) -> str:
    number = number_format(
        amount, decimal_pos=DECIMALS[currency], use_l10n=True, force_grouping=True
    )
    return f"{number}\N{NO-BREAK SPACE}{currency}"


def _order_placed(event: OrderPlaced, order: OrderSummary, shipped: Lines) -> Message:
    paragraphs = [_("We've received your order and reserved your items.")]
    if waiting := {line.product_id: line.waiting for line in order.lines if line.waiting}:
        paragraphs = [
            _("We've received your order and reserved what is in stock."),
            _("These items are on backorder; we'll let you know when they arrive:"),
            *listed(waiting, order),
        ]
    if order.payment_status in (PaymentState.UNPAID, PaymentState.FAILED):
        paragraphs.append(_("We'll prepare it for shipping once we receive your payment."))
    return Message(
        kind=Kind.ORDER_PLACED,
        subject=_("Your order %(number)s") % {"number": event.number},
        headline=_("Thank you for your order"),
        paragraphs=tuple(paragraphs),
        lines=order.lines,
        shows_order=True,
    )


def _order_paid(event: OrderPaid, order: OrderSummary, shipped: Lines) -> Message:
    amount = {"amount": money(event.amount, event.currency)}
    return Message(
        kind=Kind.ORDER_PAID,
        subject=_("Payment received for order %(number)s") % {"number": event.number},
        headline=_("Payment received"),
        paragraphs=(_("We've received your payment of %(amount)s. Thank you.") % amount,),
        lines=order.lines,
        shows_order=True,
    )


def _order_partially_paid(
    event: OrderPartiallyPaid, order: OrderSummary, shipped: Lines
) -> Message:
    amounts = {
        "amount": money(event.amount, event.currency),
        "total": money(order.total, order.currency),
    }
    paragraphs = [_("We've received %(amount)s for your order of %(total)s.") % amounts]
    if order.payment_status == PaymentState.PARTIALLY_PAID:
        paragraphs.append(_("Please pay the rest, so that we can ship it."))
    return Message(
        kind=Kind.ORDER_PAID,
        subject=_("Partial payment received for order %(number)s") % {"number": event.number},
        headline=_("Partial payment received"),
        paragraphs=tuple(paragraphs),
        lines=order.lines,
        shows_order=True,
    )


def _payment_failed(event: OrderPaymentFailed, order: OrderSummary, shipped: Lines) -> Message:
    paragraphs = [_("Your payment was declined. You haven't been charged.")]
    if order.status == OrderStatus.PENDING:
        paragraphs.append(
            _("Your items are still reserved. Try again or use a different payment method.")
        )
    reason = event.code.replace("_", " ")
    return Message(
        kind=Kind.PAYMENT_FAILED,
        subject=_("Payment failed for order %(number)s") % {"number": event.number},
        headline=_("Your payment didn't go through"),
        paragraphs=tuple(paragraphs),
        details=((_("Reason"), reason),) if reason else (),
    )


def _order_shipped(event: ShipmentSent, order: OrderSummary, shipped: Lines) -> Message:
    number = ngettext(
        "%(quantity)d item from your order has shipped.",
        "%(quantity)d items from your order have shipped.",
        event.pieces,
    ) % {"quantity": event.pieces}
    rest = (
        _("This completes your order.")
        if event.is_complete
        else _("The remaining items will ship separately.")
    )
    tracked = ((_("Carrier"), event.carrier), (_("Tracking number"), event.tracking_number))
    details = tuple((label, value) for label, value in tracked if value)
    paragraphs = [f"{number} {rest}"]
    if details:
        tracking = " ".join(value for _label, value in details)
        paragraphs.append(_("Tracking: %(tracking)s") % {"tracking": tracking})
    return Message(
        kind=Kind.ORDER_SHIPPED,
        subject=_("Order %(number)s is on its way") % {"number": event.number},
        headline=_("Your order is on its way"),
        paragraphs=tuple(paragraphs),
        details=details,
        lines=shipped,
        shows_order=True,
    )


def _order_delivered(event: OrderDelivered, order: OrderSummary, shipped: Lines) -> Message:
    return Message(
        kind=Kind.ORDER_DELIVERED,
        subject=_("Order %(number)s has been delivered") % {"number": event.number},
        headline=_("Your order has been delivered"),
        paragraphs=(_("Thank you for shopping with us."),),
    )


def _order_expired(event: OrderExpired, order: OrderSummary, shipped: Lines) -> Message:
    return Message(
        kind=Kind.ORDER_EXPIRED,
        subject=_("Order %(number)s has expired") % {"number": event.number},
        headline=_("Your order has expired"),
        paragraphs=(
            _("We didn't receive your payment in time, so your items are no longer reserved."),
            _("You can place a new order at any time."),
        ),
    )


def _order_refunded(event: OrderRefunded, order: OrderSummary, shipped: Lines) -> Message:
    amount = {"amount": money(event.amount, event.currency)}
    if event.is_dispute:
        return Message(
            kind=Kind.ORDER_REFUNDED,
            subject=_("Dispute about order %(number)s") % {"number": event.number},
            headline=_("Your dispute was decided in your favour"),
            paragraphs=(_("Your bank has taken %(amount)s back from us for you.") % amount,),
        )
    return Message(
        kind=Kind.ORDER_REFUNDED,
        subject=_("Refund for order %(number)s") % {"number": event.number},
        headline=_("Your refund is on its way"),
        paragraphs=(
            _("We've refunded %(amount)s to your original payment method.") % amount,
            _("It can take a few days to appear on your statement."),
        ),
    )


def listed(quantities: Mapping[UUID, int], order: OrderSummary) -> list[str]:
    """A line of text for each product of the order that has a quantity."""
    return [
        _("%(quantity)d × %(name)s") % {"quantity": quantities[line.product_id], "name": line.name}
        for line in order.lines
        if line.product_id in quantities
    ]


def back_in_stock_message(event: ProductBecameAvailable) -> Message:
    """The message to a customer who asked for it."""
    names = {"name": event.name, "sku": event.sku}
    return Message(
        kind=Kind.BACK_IN_STOCK,
        subject=_("Back in stock: %(name)s") % names,
        headline=_("It's back in stock"),
        paragraphs=(
            _("%(name)s (%(sku)s) is available again.") % names,
            _("You asked us to let you know. We won't message you about it again."),
        ),
        details=((_("Product"), event.name), (_("SKU"), event.sku)),
    )


ORDER_MESSAGES: Mapping[type[OrderEvent], Callable[[Any, OrderSummary, Lines], Message]] = {
    OrderPlaced: _order_placed,
    OrderPaid: _order_paid,
    OrderPartiallyPaid: _order_partially_paid,
    OrderPaymentFailed: _payment_failed,
    ShipmentSent: _order_shipped,
    OrderDelivered: _order_delivered,
    OrderExpired: _order_expired,
    OrderRefunded: _order_refunded,
}
"""The message to the customer about each event of an order, with the items of its shipment."""
