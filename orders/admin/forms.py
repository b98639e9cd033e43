"""The input of the actions on orders."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from oms.api.countries import COUNTRIES
from oms.backoffice.actions import ActionForm
from oms.backoffice.display import money
from oms.core.currencies import DECIMALS
from oms.core.money import minor_unit


def _text(label: Any, *, max_length: int, **options: Any) -> forms.CharField:
    return forms.CharField(
        label=label, max_length=max_length, widget=UnfoldAdminTextInputWidget, **options
    )


def reason_field(*, required: bool) -> forms.CharField:
    text = _("Shown in the order history, visible to the customer.")
    return _text(_("Reason"), max_length=500, help_text=text, required=required)


class ReasonForm(ActionForm):
    reason = reason_field(required=False)


class CancelForm(ActionForm):
    reason = reason_field(required=True)


class CarrierForm(ActionForm):
    carrier = _text(_("Carrier"), max_length=100, required=False)


class ShipmentForm(CarrierForm):
    tracking_number = _text(_("Tracking number"), max_length=100, required=False)


class CorrectionForm(ShipmentForm):
    """The corrected carrier and tracking number of a shipment."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.update(
            carrier=self.subject.carrier, tracking_number=self.subject.tracking_number
        )


class AddressForm(ActionForm):
    """The corrected address of an order."""

    name = _text(_("Name"), max_length=200)
    line1 = _text(_("Address"), max_length=200)
    line2 = _text(_("Address, second line"), max_length=200, required=False)
    postal_code = _text(_("Postal code"), max_length=20)
    city = _text(_("City"), max_length=100)
    region = _text(_("Region"), max_length=100, required=False)
    country = forms.ChoiceField(
        label=_("Country"),
        choices=[(code, code) for code in sorted(COUNTRIES)],
        widget=UnfoldAdminSelectWidget,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.update(self.subject.order.shipping_address)


class RefundForm(ActionForm):
    payment = forms.TypedChoiceField(
        label=_("Payment"), coerce=UUID, widget=UnfoldAdminSelectWidget
    )
    reason = _text(_("Reason"), max_length=500)
    restock = forms.BooleanField(
        label=_("Restock items"),
        required=False,
        help_text=_("Only when everything that is left is refunded; refund items otherwise."),
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
        if not self.subject.order.has_shipped_everything:
            del self.fields["restock"]
