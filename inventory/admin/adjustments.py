"""The action that adjusts the stock of a product."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from inventory.models import MAX_QUANTITY, Location, StockLevel
from inventory.operations.adjustments import AdjustmentReason, Change, Count, adjust_stock
from oms.backoffice.actions import ActionForm
from oms.core.actor import Actor

REASONS = [
    (AdjustmentReason.RECEIVED.value, _("Received")),
    (AdjustmentReason.CORRECTION.value, _("Correction")),
    (AdjustmentReason.DAMAGED.value, _("Damaged")),
    (AdjustmentReason.LOST.value, _("Lost")),
    (AdjustmentReason.RETURNED.value, _("Returned by a customer")),
]


class AdjustmentForm(ActionForm):
    """Either a quantity change or a counted quantity."""

    reason = forms.ChoiceField(label=_("Reason"), choices=REASONS, widget=UnfoldAdminSelectWidget)
    location = forms.ChoiceField(label=_("Location"), widget=UnfoldAdminSelectWidget)
    delta = forms.IntegerField(
        label=_("Quantity change"),
        required=False,
        min_value=-MAX_QUANTITY,
        max_value=MAX_QUANTITY,
        help_text=_("Use a negative number to remove stock, for example 12 or -3."),
        widget=UnfoldAdminIntegerFieldWidget,
    )
    counted = forms.IntegerField(
        label=_("Or counted quantity"),
        required=False,
        min_value=0,
        max_value=MAX_QUANTITY,
        help_text=_("Sets the quantity on hand to this number. Leave the quantity change empty."),
        widget=UnfoldAdminIntegerFieldWidget,
    )
    note = forms.CharField(
        label=_("Note"), required=False, max_length=500, widget=UnfoldAdminTextInputWidget
    )

    # The quantity on hand at each location when the page was loaded, so that a count entered on a
    # stale page is refused instead of undoing later changes.
    seen = forms.RegexField(r"^([a-z0-9-]+=[0-9]+,)*$", required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        levels = {
            level.location_id: level for level in StockLevel.objects.filter(product=self.subject)
        }
        field: Any = self.fields["location"]
        choices, seen = [], ""
        for location in Location.objects.order_by("-is_default", "priority", "code"):
            level = levels.get(location.id) or StockLevel(product=self.subject, location=location)
            text = _("%(name)s: %(on_hand)d on hand, %(reserved)d reserved") % {
                "name": location.name,
                "on_hand": level.on_hand,
                "reserved": level.reserved,
            }
            choices.append((location.code, text))
            seen += f"{location.code}={level.on_hand},"
        field.choices = choices
        self.initial["seen"] = seen

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        if (values.get("delta") is None) == (values.get("counted") is None):
            raise forms.ValidationError(
                _("Enter either a quantity change or a counted quantity."), code="one_of_two"
            )
        return values


def adjust(actor: Actor, product: Any, values: Mapping[str, Any]) -> str:
    seen = dict(pair.split("=") for pair in values["seen"].split(",") if pair)
    amount: Change | Count
    if values["counted"] is None:
        amount = Change(delta=values["delta"])
    else:
        expected = int(seen.get(values["location"], "0"))
        amount = Count(set_to=values["counted"], expected_on_hand=expected)
    movement = adjust_stock(
        actor=actor,
        product_id=product.pk,
        amount=amount,
        reason=AdjustmentReason(values["reason"]),
        location=values["location"],
        note=values["note"],
    )
    return gettext("%(product)s: now %(on_hand)d on hand at %(location)s.") % {
        "product": product.name,
        "on_hand": movement.on_hand_after,
        "location": movement.location.name,
    }
