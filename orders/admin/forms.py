"""The input of the actions on orders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django import forms
from django.utils.formats import localize
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from oms.backoffice.actions import ActionForm
from oms.backoffice.display import money
from oms.core.currencies import DECIMALS
from oms.core.money import minor_unit


def text_field(label: Any, *, max_length: int, **options: Any) -> forms.CharField:
    return forms.CharField(
        label=label, max_length=max_length, widget=UnfoldAdminTextInputWidget, **options
    )


def reason_field(*, required: bool) -> forms.CharField:
    text = _("Shown in the order history, visible to the customer.")
    return text_field(_("Reason"), max_length=500, help_text=text, required=required)


class ReasonForm(ActionForm):
    reason = reason_field(required=False)


class CancelForm(ActionForm):
    reason = reason_field(required=True)


class CarrierForm(ActionForm):
    carrier = text_field(_("Carrier"), max_length=100, required=False)


class ShipmentForm(CarrierForm):
    tracking_number = text_field(_("Tracking number"), max_length=100, required=False)


class CorrectionForm(ShipmentForm):
    """The corrected carrier and tracking number of a shipment."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.update(
            carrier=self.subject.carrier, tracking_number=self.subject.tracking_number
        )


class PaymentChoiceForm(ActionForm):
    """The choice of one of the order's `payments`, by default of all that can be refunded."""

    payment = forms.TypedChoiceField(
        label=_("Payment"), coerce=UUID, widget=UnfoldAdminSelectWidget
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices: Any = self.fields["payment"]
        choices.choices = [
            (
                str(payment.id),
                _("%(date)s: %(refundable)s of %(captured)s available for refund")
                % {
                    "date": localize(localtime(payment.created_at)),
                    "refundable": money(payment.refundable, payment.currency),
                    "captured": money(payment.captured_amount, payment.currency),
                },
            )
            for payment in self.payments()
        ]

    def payments(self) -> Sequence[Any]:
        payments: Sequence[Any] = self.subject.refundable_payments
        return payments


class RefundForm(PaymentChoiceForm):
    reason = text_field(_("Reason"), max_length=500)
    restock = forms.BooleanField(
        label=_("Restock items"),
        required=False,
        help_text=_("Only when everything that is left is refunded; refund items otherwise."),
        widget=UnfoldBooleanWidget,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        currency = self.subject.order.currency
        self.fields["amount"] = forms.DecimalField(
            label=_("Amount"),
            min_value=minor_unit(currency),
            max_digits=18,
            decimal_places=DECIMALS[currency],
            initial=max((payment.refundable for payment in self.payments()), default=None),
            widget=UnfoldAdminDecimalFieldWidget,
        )
        self.order_fields(["payment", "amount"])
        if not self.subject.order.has_shipped_everything:
            del self.fields["restock"]
