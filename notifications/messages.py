"""The content of each notification: pure functions from an event to a Message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.utils.formats import number_format
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from inventory.events import StockRanLow
from notifications.models import Kind
from oms.events.types import DomainEvent
from orders.events import (
    OrderCancelled,
    OrderDelivered,
    OrderExpired,
    OrderPaid,
    OrderPaymentFailed,
    OrderPlaced,
    OrderRefunded,
    ShipmentSent,
)
from orders.read_models import LineSummary, OrderSummary
from orders.states import OrderStatus, PaymentState


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
    lines: tuple[LineSummary, ...] = ()
    shows_order: bool = False
    link: str = ""


@dataclass(frozen=True, kw_only=True)
class MessageContext:
    """The event, its order if it has one, and the items of the shipment for ShipmentSent."""

    event: Any
    order: OrderSummary | None = None
    shipment_lines: tuple[LineSummary, ...] = ()

    @property
    def number(self) -> dict[str, str]:
        return {"number": self.event.number}

    @property
    def amount(self) -> dict[str, str]:
        return {"amount": money(self.event.amount, self.event.currency)}


def money(amount: Decimal, currency: str) -> str:
    """`amount` with the separators of the active language, such as "1,299.00 EUR"."""
    return _formatted(amount, currency, get_language())


@lru_cache(maxsize=4096)  # Prices recur, and Django takes 40 µs to format one.
def _formatted(amount: Decimal, currency: str, language: str) -> str:
    number = number_format(amount, decimal_pos=2, use_l10n=True, force_grouping=True)
    return f"{number}\N{NO-BREAK SPACE}{currency}"


def message_for(context: MessageContext) -> Message:
    """The message about that event. Raises KeyError for an event that sends no notification."""
    return MESSAGES[type(context.event)](context)


def _order_placed(context: MessageContext) -> Message:
    order = context.order
    paragraphs = [_("We've received your order and reserved your items.")]
    if order is not None and order.payment_status in (PaymentState.UNPAID, PaymentState.FAILED):
        paragraphs.append(_("We'll prepare it for shipping once we receive your payment."))
    return Message(
        kind=Kind.ORDER_PLACED,
        subject=_("Your order %(number)s") % context.number,
        headline=_("Thank you for your order"),
        paragraphs=tuple(paragraphs),
        lines=order.lines if order else (),
        shows_order=True,
    )


def _order_paid(context: MessageContext) -> Message:
    return Message(
        kind=Kind.ORDER_PAID,
        subject=_("Payment received for order %(number)s") % context.number,
        headline=_("Payment received"),
        paragraphs=(_("We've received your payment of %(amount)s. Thank you.") % context.amount,),
        lines=context.order.lines if context.order else (),
        shows_order=True,
    )


def _payment_failed(context: MessageContext) -> Message:
    paragraphs = [_("Your payment was declined. You haven't been charged.")]
    if context.order is not None and context.order.status == OrderStatus.PENDING:
        paragraphs.append(
            _("Your items are still reserved. Try again or use a different payment method.")
        )
    reason = context.event.code.replace("_", " ")
    return Message(
        kind=Kind.PAYMENT_FAILED,
        subject=_("Payment failed for order %(number)s") % context.number,
        headline=_("Your payment didn't go through"),
        paragraphs=tuple(paragraphs),
        details=((_("Reason"), reason),) if reason else (),
    )


def _order_shipped(context: MessageContext) -> Message:
    event: ShipmentSent = context.event
    shipped = ngettext(
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
    paragraphs = [f"{shipped} {rest}"]
    if details:
        tracking = " ".join(value for _label, value in details)
        paragraphs.append(_("Tracking: %(tracking)s") % {"tracking": tracking})
    return Message(
        kind=Kind.ORDER_SHIPPED,
        subject=_("Order %(number)s is on its way") % context.number,
        headline=_("Your order is on its way"),
        paragraphs=tuple(paragraphs),
        details=details,
        lines=context.shipment_lines,
        shows_order=True,
    )


def _order_delivered(context: MessageContext) -> Message:
    return Message(
        kind=Kind.ORDER_DELIVERED,
        subject=_("Order %(number)s has been delivered") % context.number,
        headline=_("Your order has been delivered"),
        paragraphs=(_("Thank you for shopping with us."),),
    )


def _order_cancelled(context: MessageContext) -> Message:
    return Message(
        kind=Kind.ORDER_CANCELLED,
        subject=_("Order %(number)s has been cancelled") % context.number,
        headline=_("Your order has been cancelled"),
        paragraphs=(
            _("We won't ship it."),
            _("Any payment will be refunded; we'll email you when the refund is on its way."),
        ),
    )


def _order_expired(context: MessageContext) -> Message:
    return Message(
        kind=Kind.ORDER_EXPIRED,
        subject=_("Order %(number)s has expired") % context.number,
        headline=_("Your order has expired"),
        paragraphs=(
            _("We didn't receive your payment in time, so your items are no longer reserved."),
            _("You can place a new order at any time."),
        ),
    )


def _order_refunded(context: MessageContext) -> Message:
    return Message(
        kind=Kind.ORDER_REFUNDED,
        subject=_("Refund for order %(number)s") % context.number,
        headline=_("Your refund is on its way"),
        paragraphs=(
            _("We've refunded %(amount)s to your original payment method.") % context.amount,
            _("It can take a few days to appear on your statement."),
        ),
    )


def _low_stock(context: MessageContext) -> Message:
    event: StockRanLow = context.event
    names = {"available": event.available, "name": event.name, "sku": event.sku}
    available = ngettext(
        "%(available)d unit of %(name)s is available.",
        "%(available)d units of %(name)s are available.",
        event.available,
    )
    return Message(
        kind=Kind.LOW_STOCK,
        subject=_("Low stock: %(name)s (%(sku)s)") % names,
        headline=_("A product is low on stock"),
        paragraphs=(available % names,),
        details=(
            (_("Product"), event.name),
            (_("SKU"), event.sku),
            (_("Available"), str(event.available)),
            (_("Low stock threshold"), str(event.threshold)),
        ),
        link=f"{settings.PUBLIC_URL}/admin/inventory/product/{event.product_id}/change/",
    )


MESSAGES: Mapping[type[DomainEvent], Callable[[MessageContext], Message]] = {
    OrderPlaced: _order_placed,
    OrderPaid: _order_paid,
    OrderPaymentFailed: _payment_failed,
    ShipmentSent: _order_shipped,
    OrderDelivered: _order_delivered,
    OrderCancelled: _order_cancelled,
    OrderExpired: _order_expired,
    OrderRefunded: _order_refunded,
    StockRanLow: _low_stock,
}
