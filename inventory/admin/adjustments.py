"""The form by which staff correct the stock of a product."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from inventory.models import MAX_PIECES, Location, StockLevel
from inventory.operations.adjustments import AdjustmentReason, Change, Count, adjust_stock
from oms.backoffice.actions import ActionForm
from oms.core.actor import Actor

REASONS = [
    (AdjustmentReason.RECEIVED.value, _("received: a delivery came")),
    (AdjustmentReason.CORRECTION.value, _("correction: the count was wrong")),
    (AdjustmentReason.DAMAGED.value, _("damaged: written off")),
    (AdjustmentReason.LOST.value, _("lost: not to be found")),
    (AdjustmentReason.RETURNED.value, _("returned: a customer sent it back")),
]


class AdjustmentForm(ActionForm):
    """Either by how many pieces the stock changes, or how many were counted."""

    reason = forms.ChoiceField(label=_("reason"), choices=REASONS, widget=UnfoldAdminSelectWidget)
    location = forms.ChoiceField(label=_("location"), widget=UnfoldAdminSelectWidget)
    delta = forms.IntegerField(
        label=_("change by"),
        required=False,
        min_value=-MAX_PIECES,
        max_value=MAX_PIECES,
        help_text=_("Pieces that come, or with a minus go, such as 12 or -3."),
        widget=UnfoldAdminIntegerFieldWidget,
    )
    counted = forms.IntegerField(
        label=_("or: counted on the shelf"),
        required=False,
        min_value=0,
        max_value=MAX_PIECES,
        help_text=_("The number found, in place of a change."),
        widget=UnfoldAdminIntegerFieldWidget,
    )
    note = forms.CharField(
        label=_("note"), required=False, max_length=500, widget=UnfoldAdminTextInputWidget
    )

    # What was on hand at each location when the page was made, so that a count made on a page that
    # has gone stale is refused instead of undoing what happened since.
    seen = forms.RegexField(r"^([a-z0-9-]+=[0-9]+,)*$", required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        levels = {
            level.location_id: level for level in StockLevel.objects.filter(product=self.subject)
        }
        places: Any = self.fields["location"]
        choices, seen = [], ""
        for place in Location.objects.order_by("-is_default", "priority", "code"):
            level = levels.get(place.id) or StockLevel(product=self.subject, location=place)
            words = _("%(name)s: %(on_hand)d on hand, %(reserved)d reserved") % {
                "name": place.name,
                "on_hand": level.on_hand,
                "reserved": level.reserved,
            }
            choices.append((place.code, words))
            seen += f"{place.code}={level.on_hand},"
        places.choices = choices
        self.initial["seen"] = seen

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        if (values.get("delta") is None) == (values.get("counted") is None):
            raise forms.ValidationError(
                _("Give either the change or the number counted."), code="one_of_two"
            )
        return values


def adjust(actor: Actor, product: Any, values: Mapping[str, Any]) -> str:
    """Correct the stock as the form says; returns what to tell."""
    seen = dict(pair.split("=") for pair in values["seen"].split(",") if pair)
    amount: Change | Count
    if values["counted"] is None:
        amount = Change(delta=values["delta"])
    else:
        believed = int(seen.get(values["location"], "0"))
        amount = Count(set_to=values["counted"], expected_on_hand=believed)
    movement = adjust_stock(
        actor=actor,
        product_id=product.pk,
        amount=amount,
        reason=AdjustmentReason(values["reason"]),
        location=values["location"],
        note=values["note"],
    )
    return _now("%(product)s: %(on_hand)d on hand at %(location)s now.") % {
        "product": product.name,
        "on_hand": movement.on_hand_after,
        "location": movement.location.name,
    }
