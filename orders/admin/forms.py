"""The input of the actions on orders."""

from __future__ import annotations

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
from oms.core.currencies import DECIMALS
from oms.core.money import minor_unit
from orders.operations.fulfilling import ShippedItem


def _text(label: Any, *, max_length: int, **options: Any) -> forms.CharField:
    return forms.CharField(
        label=label, max_length=max_length, widget=UnfoldAdminTextInputWidget, **options
    )


def _reason(*, required: bool) -> forms.CharField:
    text = _("Shown in the order history, visible to the customer.")
    return _text(_("Reason"), max_length=500, help_text=text, required=required)


class ReasonForm(ActionForm):
    reason = _reason(required=False)


class CancelForm(ActionForm):
    reason = _reason(required=True)


class CarrierForm(ActionForm):
    carrier = _text(_("Carrier"), max_length=100, required=False)


class ShipmentForm(CarrierForm):
    tracking_number = _text(_("Tracking number"), max_length=100, required=False)


class PartialShipmentForm(ShipmentForm):
    """A quantity for each item that is not fully shipped; cleaned to `items`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._item_fields: dict[str, UUID] = {}
        for item in self.subject.items_to_ship:
            self._item_fields[f"item-{item.id}"] = item.id
            self.fields[f"item-{item.id}"] = forms.IntegerField(
                label=f"{item.name} ({item.sku})",
                min_value=0,
                max_value=item.left_to_ship,
                initial=item.left_to_ship,
                help_text=_("%(left)d of %(quantity)d left to ship.")
                % {"left": item.left_to_ship, "quantity": item.quantity},
                widget=UnfoldAdminIntegerFieldWidget,
            )
        self.order_fields([*self._item_fields, "carrier", "tracking_number"])

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        values["items"] = [
            ShippedItem(order_item_id=item_id, quantity=values[field])
            for field, item_id in self._item_fields.items()
            if values.get(field)
        ]
        if not values["items"] and not self.errors:
            raise forms.ValidationError(_("Enter a quantity for at least one item."), code="empty")
        return values


class RefundForm(ActionForm):
    payment = forms.TypedChoiceField(
        label=_("Payment"), coerce=UUID, widget=UnfoldAdminSelectWidget
    )
    reason = _text(_("Reason"), max_length=500)
    restock = forms.BooleanField(
        label=_("Restock items"),
        required=False,
        help_text=_("Returns all items shipped so far to stock, except those already returned."),
        widget=UnfoldBooleanWidget,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        payments = self.subject.refundable_payments
        choices: Any = self.fields["payment"]
        choices.choices = [
            (
                str(payment.id),
                _("%(refundable)s of %(captured)s available for refund")
                % {
                    "refundable": money(payment.refundable, payment.currency),
                    "captured": money(payment.captured_amount, payment.currency),
                },
            )
            for payment in payments
        ]
        currency = self.subject.order.currency
        self.fields["amount"] = forms.DecimalField(
            label=_("Amount"),
            min_value=minor_unit(currency),
            max_digits=18,
            decimal_places=DECIMALS[currency],
            initial=max((payment.refundable for payment in payments), default=None),
            widget=UnfoldAdminDecimalFieldWidget,
        )
        self.order_fields(["payment", "amount"])
        if not self.subject.order.has_shipped_anything:
            del self.fields["restock"]
