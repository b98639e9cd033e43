"""What is said to people on each occasion: pure functions from a fact to a Message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.utils.formats import number_format
from django.utils.translation import get_language, ngettext, override
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
    """A message before it is put into a channel's form.

    `paragraphs` say all of it in a few words; `details` are labels with values; `lines` are the
    goods it is about, and `order` is shown with its total and address where `shows_order`.
    """

    kind: Kind
    subject: str
    headline: str
    paragraphs: tuple[str, ...]
    details: tuple[tuple[str, str], ...] = ()
    lines: tuple[LineSummary, ...] = ()
    order: OrderSummary | None = None
    shows_order: bool = False
    link: str = ""


@dataclass(frozen=True, kw_only=True)
class Occasion:
    """A fact with what has to be known to speak of it.

    `parcel` is what was sent, for ShipmentSent; `order` is None for facts about no order.
    """

    fact: Any
    order: OrderSummary | None = None
    parcel: tuple[LineSummary, ...] = field(default=())


def current_language() -> str:
    """The code of the language that texts are in now."""
    return get_language() or settings.LANGUAGE_CODE


@lru_cache(maxsize=4096)  # the same prices come again and again, and Django takes 40 µs for one
def money(amount: Decimal, currency: str, language: str) -> str:
    """`amount` as people read it: "1,299.00 EUR", with the separators of the language."""
    with override(language):
        number = number_format(amount, decimal_pos=2, use_l10n=True, force_grouping=True)
    return f"{number}\N{NO-BREAK SPACE}{currency}"


def message_for(occasion: Occasion) -> Message:
    """What to say on that occasion. Raises KeyError for a fact that nobody is told of."""
    return WORDINGS[type(occasion.fact)](occasion)


def _order_placed(occasion: Occasion) -> Message:
    fact: OrderPlaced = occasion.fact
    paragraphs = [_("We have received your order and set the goods aside for you.")]
    order = occasion.order
    if order is not None and order.payment_status in (PaymentState.UNPAID, PaymentState.FAILED):
        paragraphs.append(_("As soon as it is paid we get it ready."))
    return Message(
        kind=Kind.ORDER_PLACED,
        subject=_("Your order %(number)s") % {"number": fact.number},
        headline=_("Thank you for your order"),
        paragraphs=tuple(paragraphs),
        order=order,
        lines=order.lines if order else (),
        shows_order=True,
    )


def _order_paid(occasion: Occasion) -> Message:
    fact: OrderPaid = occasion.fact
    order = occasion.order
    amount = money(fact.amount, fact.currency, current_language())
    return Message(
        kind=Kind.ORDER_PAID,
        subject=_("Payment received for order %(number)s") % {"number": fact.number},
        headline=_("Your payment has arrived"),
        paragraphs=(_("We have received %(amount)s, thank you.") % {"amount": amount},),
        order=order,
        lines=order.lines if order else (),
        shows_order=True,
    )


def _payment_failed(occasion: Occasion) -> Message:
    fact: OrderPaymentFailed = occasion.fact
    paragraphs = [_("Your payment was declined, and nothing has been charged.")]
    if occasion.order is not None and occasion.order.status == OrderStatus.PENDING:
        paragraphs.append(
            _("The goods are still set aside. Please try again, or pay in another way.")
        )
    reason = fact.code.replace("_", " ")
    return Message(
        kind=Kind.PAYMENT_FAILED,
        subject=_("Payment failed for order %(number)s") % {"number": fact.number},
        headline=_("Your payment did not go through"),
        paragraphs=tuple(paragraphs),
        details=((_("Reason"), reason),) if reason else (),
        order=occasion.order,
    )


def _order_shipped(occasion: Occasion) -> Message:
    fact: ShipmentSent = occasion.fact
    said = ngettext(
        "A parcel with %(pieces)d piece of your order is on its way.",
        "A parcel with %(pieces)d pieces of your order is on its way.",
        fact.pieces,
    ) % {"pieces": fact.pieces}
    rest = (
        _("With it your order is complete.")
        if fact.is_complete
        else _("The rest follows in another parcel.")
    )
    details = ((_("Carrier"), fact.carrier), (_("Tracking number"), fact.tracking_number))
    tracked = ", ".join(value for _label, value in details if value)
    track = _("Track it: %(tracking)s.") % {"tracking": tracked}
    return Message(
        kind=Kind.ORDER_SHIPPED,
        subject=_("Order %(number)s is on its way") % {"number": fact.number},
        headline=_("A parcel is on its way to you"),
        paragraphs=(f"{said} {rest}", track) if tracked else (f"{said} {rest}",),
        details=tuple((label, value) for label, value in details if value),
        lines=occasion.parcel,
        order=occasion.order,
        shows_order=True,
    )


def _order_delivered(occasion: Occasion) -> Message:
    fact: OrderDelivered = occasion.fact
    return Message(
        kind=Kind.ORDER_DELIVERED,
        subject=_("Order %(number)s has been delivered") % {"number": fact.number},
        headline=_("Your order has arrived"),
        paragraphs=(_("We hope that everything is as you wished. Thank you for buying from us."),),
        order=occasion.order,
    )


def _order_cancelled(occasion: Occasion) -> Message:
    fact: OrderCancelled = occasion.fact
    return Message(
        kind=Kind.ORDER_CANCELLED,
        subject=_("Order %(number)s has been cancelled") % {"number": fact.number},
        headline=_("Your order has been cancelled"),
        paragraphs=(
            _("Nothing of it will be sent."),
            _("What you have paid goes back to you; we write again when it is on its way."),
        ),
        order=occasion.order,
    )


def _order_expired(occasion: Occasion) -> Message:
    fact: OrderExpired = occasion.fact
    return Message(
        kind=Kind.ORDER_EXPIRED,
        subject=_("Order %(number)s has expired") % {"number": fact.number},
        headline=_("Your order has expired"),
        paragraphs=(
            _("It was not paid in time, so the goods are no longer set aside."),
            _("You are welcome to order again."),
        ),
        order=occasion.order,
    )


def _order_refunded(occasion: Occasion) -> Message:
    fact: OrderRefunded = occasion.fact
    amount = money(fact.amount, fact.currency, current_language())
    return Message(
        kind=Kind.ORDER_REFUNDED,
        subject=_("Refund for order %(number)s") % {"number": fact.number},
        headline=_("Your money is on its way back"),
        paragraphs=(
            _("We have refunded %(amount)s, the way that you paid.") % {"amount": amount},
            _("It can take a few days until you see it on your account."),
        ),
        order=occasion.order,
    )


def _low_stock(occasion: Occasion) -> Message:
    fact: StockRanLow = occasion.fact
    left = ngettext(
        "%(available)d piece of %(name)s is left.",
        "%(available)d pieces of %(name)s are left.",
        fact.available,
    ) % {"available": fact.available, "name": fact.name}
    return Message(
        kind=Kind.LOW_STOCK,
        subject=_("Low stock: %(name)s (%(sku)s)") % {"name": fact.name, "sku": fact.sku},
        headline=_("A product is running low"),
        paragraphs=(left,),
        details=(
            (_("Product"), fact.name),
            (_("SKU"), fact.sku),
            (_("Available"), str(fact.available)),
            (_("Threshold"), str(fact.threshold)),
        ),
        link=f"{settings.PUBLIC_URL}/admin/inventory/product/{fact.product_id}/change/",
    )


WORDINGS: Mapping[type[DomainEvent], Callable[[Occasion], Message]] = {
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
