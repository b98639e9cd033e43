"""The content of the notifications to staff: pure functions from an event to a Message."""

from __future__ import annotations

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from inventory.events import StockRanLow
from notifications.messages import Message
from notifications.models import Kind
from oms.exceptions.events import ExceptionRaised
from oms.exceptions.kinds import ExceptionKind

# In the text of a mail; the link, which is a secret, takes its place when the mail is sent.
PASSWORD_LINK = "{password_link}"  # noqa: S105


def low_stock_message(event: StockRanLow) -> Message:
    """The message to staff about a product that is low on stock."""
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


def staff_invited_message() -> Message:
    """The message to a new member of the staff, with PASSWORD_LINK in place of the link."""
    shop = {"shop": settings.SHOP_NAME}
    days = settings.PASSWORD_RESET_TIMEOUT // (24 * 60 * 60)
    validity = ngettext(
        "The link works once, and for %(days)d day.",
        "The link works once, and for %(days)d days.",
        days,
    )
    return Message(
        kind=Kind.STAFF_INVITED,
        subject=_("Set your password for %(shop)s") % shop,
        headline=_("Welcome to the team"),
        paragraphs=(
            _("You have an account for the back office of %(shop)s. Set your password to log in.")
            % shop,
            validity % {"days": days},
        ),
        link=PASSWORD_LINK,
    )


def exception_message(event: ExceptionRaised) -> Message:
    """The message to staff about an exception."""
    kind = {"kind": ExceptionKind(event.kind).label}
    return Message(
        kind=Kind.EXCEPTION,
        subject=_("Exception: %(kind)s") % kind,
        headline=_("Something needs your attention"),
        paragraphs=(
            event.cause,
            _("The back office has all. We'll e-mail you about this kind once an hour at most."),
        ),
        link=f"{settings.PUBLIC_URL}/admin/exceptions/exceptionrecord/{event.exception_id}/change/",
    )
