"""The frame of the back office's pages: its sidebar with what the person may see, its styles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True)
class _Entry:
    """A list of the admin site: the model such as "orders.order", and a Material symbol."""

    title: Promise | str
    model: str
    icon: str


_GROUPS: tuple[tuple[Any, tuple[_Entry, ...]], ...] = (
    (
        _("Sales"),
        (
            _Entry(_("Orders"), "orders.order", "shopping_bag"),
            _Entry(_("Shipments"), "orders.shipment", "local_shipping"),
            _Entry(_("Payments"), "payments.payment", "credit_card"),
            _Entry(_("Refunds"), "payments.refund", "undo"),
            _Entry(_("Daily reports"), "reports.dailyreport", "bar_chart"),
        ),
    ),
    (
        _("Catalogue"),
        (
            _Entry(_("Products"), "inventory.product", "sell"),
            _Entry(_("Stock movements"), "inventory.stockmovement", "swap_vert"),
            _Entry(_("Locations"), "inventory.location", "warehouse"),
        ),
    ),
    (
        _("People"),
        (
            _Entry(_("Users"), "users.user", "person"),
            _Entry(_("Sessions"), "users.session", "devices"),
            _Entry(_("Groups"), "auth.group", "group"),
        ),
    ),
    (
        _("Operations"),
        (
            _Entry(_("Audit trail"), "events.event", "history"),
            _Entry(_("Notifications"), "notifications.notification", "mail"),
            _Entry(_("Parked events"), "events.deadletter", "pause_circle"),
            _Entry(_("Consumers"), "events.consumeroffset", "conveyor_belt"),
            _Entry(_("Provider messages"), "payments.providermessage", "webhook"),
        ),
    ),
)


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """The navigation as django-unfold wants it."""
    dashboard = {
        "title": _("Dashboard"),
        "icon": "dashboard",
        "link": reverse("admin:index"),
        "permission": lambda request: True,
    }
    groups: list[dict[str, Any]] = [{"items": [dashboard]}]
    for title, entries in _GROUPS:
        items = [
            {
                "title": entry.title,
                "icon": entry.icon,
                "link": reverse(f"admin:{entry.model.replace('.', '_')}_changelist"),
                "permission": _may_see(entry.model),
            }
            for entry in entries
        ]
        groups.append({"title": title, "separator": True, "items": items})
    return groups


def stylesheet(request: HttpRequest) -> str:
    """The address of the styles that are our own."""
    return static("backoffice/backoffice.css")


def favicon(request: HttpRequest) -> str:
    """The address of the little picture in the browser's tab."""
    return static("backoffice/favicon.svg")


def environment(request: HttpRequest) -> tuple[str, str] | None:
    """What kind of copy this is, and the colour of that label; None for the real shop."""
    label: str = settings.ENVIRONMENT_LABEL
    return (label, "warning") if label else None


def _may_see(model: str) -> Callable[[HttpRequest], bool]:
    label, name = model.split(".")

    def permitted(request: HttpRequest) -> bool:
        user: Any = request.user
        return any(user.has_perm(f"{label}.{verb}_{name}") for verb in ("view", "change"))

    return permitted
