"""What staff say with a step of an order."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from oms.backoffice.actions import ActionForm
from oms.backoffice.display import money
from oms.core.money import CENT
from orders.operations.fulfilling import ShippedItem


class ReasonForm(ActionForm):
    reason = forms.CharField(
        label=_("reason"),
        required=False,
        max_length=500,
        help_text=_("It stands in the order's history, which the customer may read."),
        widget=UnfoldAdminTextInputWidget,
    )


class CancelForm(ReasonForm):
    reason = forms.CharField(
        label=_("reason"),
        max_length=500,
        help_text=_("It stands in the order's history, which the customer may read."),
        widget=UnfoldAdminTextInputWidget,
    )


class CarrierForm(ActionForm):
    carrier = forms.CharField(
        label=_("carrier"), required=False, max_length=100, widget=UnfoldAdminTextInputWidget
    )


class ShipForm(CarrierForm):
    tracking_number = forms.CharField(
        label=_("tracking number"),
        required=False,
        max_length=100,
        widget=UnfoldAdminTextInputWidget,
    )


class ShipPartForm(ShipForm):
    """One number of pieces for each item of which something is left to ship."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for item in self.subject.items:
            if item.left_to_ship:
                self.fields[f"item-{item.id}"] = forms.IntegerField(
                    label=f"{item.name} ({item.sku})",
                    min_value=0,
                    max_value=item.left_to_ship,
                    initial=item.left_to_ship,
                    help_text=_("%(left)d of %(quantity)d are left to ship.")
                    % {"left": item.left_to_ship, "quantity": item.quantity},
                    widget=UnfoldAdminIntegerFieldWidget,
                )
        names = [name for name in self.fields if name.startswith("item-")]
        self.order_fields([*names, "carrier", "tracking_number"])

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        values["items"] = _parcel(values)
        if not values["items"] and not self.errors:
            raise forms.ValidationError(_("The parcel would be empty."), code="empty")
        return values


def _parcel(values: dict[str, Any]) -> Sequence[ShippedItem]:
    return [
        ShippedItem(order_item_id=UUID(name.removeprefix("item-")), quantity=quantity)
        for name, quantity in values.items()
        if name.startswith("item-") and quantity
    ]


class RefundForm(ActionForm):
    """How much of which payment goes back."""

    payment = forms.TypedChoiceField(
        label=_("payment"), coerce=UUID, widget=UnfoldAdminSelectWidget
    )
    amount = forms.DecimalField(
        label=_("amount"),
        min_value=CENT,
        max_digits=18,
        decimal_places=2,
        widget=UnfoldAdminDecimalFieldWidget,
    )
    reason = forms.CharField(label=_("reason"), max_length=500, widget=UnfoldAdminTextInputWidget)
    restock = forms.BooleanField(
        label=_("put the goods back on the shelf"),
        required=False,
        help_text=_("All that was shipped of the order and has not come back yet."),
        widget=UnfoldBooleanWidget,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        payments = self.subject.refundable
        choices: Any = self.fields["payment"]
        choices.choices = [
            (
                str(payment.id),
                _("%(left)s of %(captured)s can be given back")
                % {
                    "left": money(payment.refundable, payment.currency),
                    "captured": money(payment.captured_amount, payment.currency),
                },
            )
            for payment in payments
        ]
        largest: Decimal = max((payment.refundable for payment in payments), default=CENT)
        self.initial["amount"] = largest
        if not self.subject.order.has_shipped_anything:
            del self.fields["restock"]
