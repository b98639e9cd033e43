"""The sidebar and the appearance of the back office."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

# Groups of lists: title, model, Material symbol.
_GROUPS: tuple[tuple[Any, tuple[tuple[Any, str, str], ...]], ...] = (
    (
        _("Sales"),
        (
            (_("Orders"), "orders.order", "shopping_bag"),
            (_("Shipments"), "orders.shipment", "local_shipping"),
            (_("Returns"), "orders.orderreturn", "assignment_return"),
            (_("Exceptions"), "exceptions.exceptionrecord", "report"),
            (_("Payments"), "payments.payment", "credit_card"),
            (_("Refunds"), "payments.refund", "undo"),
            (_("Daily reports"), "reports.dailyreport", "bar_chart"),
        ),
    ),
    (
        _("Catalogue"),
        (
            (_("Products"), "inventory.product", "sell"),
            (_("Stock movements"), "inventory.stockmovement", "swap_vert"),
            (_("Stock documents"), "inventory.stockdocument", "inventory"),
            (_("Locations"), "inventory.location", "warehouse"),
            (_("Stock alerts"), "inventory.stockalert", "notifications"),
        ),
    ),
    (
        _("People"),
        (
            (_("Users"), "users.user", "person"),
            (_("Sessions"), "users.session", "devices"),
            (_("Groups"), "auth.group", "group"),
        ),
    ),
    (
        _("Operations"),
        (
            (_("Events"), "events.event", "history"),
            (_("Notifications"), "notifications.notification", "mail"),
            (_("Failed events"), "events.deadletter", "error"),
            (_("Event consumers"), "events.consumeroffset", "conveyor_belt"),
            (_("Provider messages"), "payments.providermessage", "webhook"),
        ),
    ),
)


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """The navigation in django-unfold's format, with a permission check for each list."""
    dashboard = {"title": _("Dashboard"), "icon": "dashboard", "link": reverse("admin:index")}
    groups: list[dict[str, Any]] = [{"items": [dashboard]}]
    for title, entries in _GROUPS:
        items = [
            {
                "title": name,
                "icon": icon,
                "link": reverse(f"admin:{model.replace('.', '_')}_changelist"),
                "permission": _may_view(model),
            }
            for name, model, icon in entries
        ]
        groups.append({"title": title, "separator": True, "items": items})
    return groups


def _may_view(model: str) -> Callable[[HttpRequest], bool]:
    owner = admin.site.get_model_admin(apps.get_model(model))

    # A function, because django-unfold copies the entries deeply.
    def is_permitted(request: HttpRequest) -> bool:
        return owner.has_view_permission(request)

    return is_permitted


def environment(request: HttpRequest) -> tuple[str, str] | None:
    """The label of this installation and its colour; None in production."""
    label: str = settings.ENVIRONMENT_LABEL
    return (label, "warning") if label else None
