"""Forms with a quantity for each item of an order: to ship, to cancel, to refund, to return."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldBooleanWidget,
)

from inventory.queries import location_choices
from oms.backoffice.actions import ActionForm
from orders.admin.forms import PaymentChoiceForm, ShipmentForm, reason_field
from orders.admin.presenter import OrderPresenter
from orders.models import OrderItem
from orders.operations.quantities import ItemQuantity
from orders.operations.receiving import ReceivedItem
from orders.operations.refunding import RefundedItem
from orders.states import ReturnOutcome


class QuantitiesForm(ActionForm):
    """A quantity for each item of which something is left; cleaned to `items`.

    `quantities` are those entered, by the items' ids.
    """

    help_text: Any = _("%(left)d of %(quantity)d left to ship.")
    # Whether everything that is left is entered at first, or nothing.
    all_at_first = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._item_fields: dict[str, UUID] = {}
        others = list(self.fields)
        for item, left in self.items():
            self._item_fields[f"item-{item.id}"] = item.id
            self.fields[f"item-{item.id}"] = forms.IntegerField(
                label=f"{item.name} ({item.sku})",
                required=False,
                min_value=0,
                max_value=left,
                initial=left if self.all_at_first else 0,
                help_text=self.help_text % {"left": left, "quantity": item.quantity},
                widget=UnfoldAdminIntegerFieldWidget,
            )
        self.order_fields([*self._item_fields, *others])

    def items(self) -> Sequence[tuple[OrderItem, int]]:
        """Each item of the subject with how many are left."""
        return [(item, item.left_to_ship) for item in self.subject.items_to_ship]

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        self.quantities = {
            item_id: values[field]
            for field, item_id in self._item_fields.items()
            if values.get(field)
        }
        if not self.quantities and not self.errors:
            raise forms.ValidationError(_("Enter a quantity for at least one item."), code="empty")
        values["items"] = [
            ItemQuantity(order_item_id=item_id, quantity=quantity)
            for item_id, quantity in self.quantities.items()
        ]
        return values


class PartialShipmentForm(QuantitiesForm, ShipmentForm):
    """What is reserved for the order; what waits for stock cannot be shipped."""

    all_at_first = True
    help_text = _("%(left)d of %(quantity)d can be shipped now.")

    def items(self) -> Sequence[tuple[OrderItem, int]]:
        return [(item, item.allocated) for item in self.subject.items if item.allocated]


def lines_waiting(subject: OrderPresenter) -> Sequence[str]:
    """What cannot be shipped yet."""
    text = gettext("%(waiting)d × %(name)s (%(sku)s) waits for stock and ships later.")
    return [
        text % {"waiting": item.quantity_waiting, "name": item.name, "sku": item.sku}
        for item in subject.items
        if item.quantity_waiting
    ]


class CancelItemsForm(QuantitiesForm):
    reason = reason_field(required=True)


class RefundItemsForm(QuantitiesForm, PaymentChoiceForm):
    """Cleaned to `items` and `payment`, which is in the currency of their prices."""

    help_text = _("%(left)d of %(quantity)d not cancelled.")
    reason = reason_field(required=True)
    restock = forms.BooleanField(
        label=_("Restock"),
        required=False,
        help_text=_("Shipped items that came back return to where they were shipped from."),
        widget=UnfoldBooleanWidget,
    )

    def payments(self) -> Sequence[Any]:
        payments: Sequence[Any] = self.subject.payments_for_items
        return payments

    def items(self) -> Sequence[tuple[OrderItem, int]]:
        sold = ((item, item.quantity - item.quantity_cancelled) for item in self.subject.items)
        return [(item, left) for item, left in sold if left]

    def clean(self) -> dict[str, Any]:
        values = super().clean()
        values["items"] = [
            RefundedItem(
                order_item_id=item_id, quantity=quantity, restock=values.get("restock", False)
            )
            for item_id, quantity in self.quantities.items()
        ]
        return values


class ReceiptForm(QuantitiesForm):
    """What arrived; cleaned to `items`."""

    help_text = _("%(left)d of %(quantity)d shipped and not returned.")
    outcome = forms.ChoiceField(
        label=_("Condition"),
        choices=[
            (ReturnOutcome.RESTOCK.value, _("Restock")),
            (ReturnOutcome.UNUSABLE.value, _("Unusable")),
        ],
        widget=UnfoldAdminSelectWidget,
    )
    location = forms.ChoiceField(
        label=_("Location"), required=False, widget=UnfoldAdminSelectWidget
    )
    refund = forms.BooleanField(
        label=_("Refund the items"),
        required=False,
        help_text=_("At the price of the order. Needs the permission to refund payments."),
        widget=UnfoldBooleanWidget,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["location"]
        field.choices = [("", _("Where they were shipped from")), *location_choices()]

    def items(self) -> Sequence[tuple[OrderItem, int]]:
        return [(item, item.left_to_return) for item in self.subject.items if item.left_to_return]

    def clean(self) -> dict[str, Any]:
        values = super().clean()
        if self.errors:
            return values
        values["items"] = [
            ReceivedItem(
                order_item_id=item_id,
                quantity=quantity,
                outcome=ReturnOutcome(values["outcome"]),
                location=values["location"],
            )
            for item_id, quantity in self.quantities.items()
        ]
        return values


class RecordReturnForm(ReceiptForm):
    """A return that arrived without a request."""

    reason = reason_field(required=False)


class ReturnReceiptForm(ReceiptForm):
    """What arrived of a return."""

    all_at_first = True
    help_text = _("%(left)d still expected.")
    is_last = forms.BooleanField(
        label=_("Nothing more is expected"), required=False, widget=UnfoldBooleanWidget
    )

    def items(self) -> Sequence[tuple[OrderItem, int]]:
        expected = self.subject.items.select_related("order_item").order_by("order_item__position")
        return [
            (item.order_item, item.left_to_receive) for item in expected if item.left_to_receive
        ]
