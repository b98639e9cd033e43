"""Staff correct what an order says: its addresses, and the details that only texts depend on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from oms.api.countries import COUNTRIES
from oms.api.fields import MetadataField
from oms.backoffice.actions import ActionForm, AdminAction
from oms.core.actor import Actor
from oms.core.errors import Invalid
from oms.core.permissions import Permission
from oms.http.payloads import decode, encode
from orders.admin.forms import text_field
from orders.admin.presenter import OrderPresenter
from orders.operations.editing import OrderEdit, edit_order

Values = Mapping[str, Any]
_ADDRESS = ("name", "line1", "line2", "city", "postal_code", "region", "country")


class AddressForm(ActionForm):
    """The corrected shipping address of an order."""

    name = text_field(_("Name"), max_length=200)
    line1 = text_field(_("Address"), max_length=200)
    line2 = text_field(_("Address, second line"), max_length=200, required=False)
    postal_code = text_field(_("Postal code"), max_length=20)
    city = text_field(_("City"), max_length=100)
    region = text_field(_("Region"), max_length=100, required=False)
    country = forms.ChoiceField(
        label=_("Country"),
        choices=[(code, code) for code in sorted(COUNTRIES)],
        widget=UnfoldAdminSelectWidget,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.update(self.address_of(self.subject.order))

    def address_of(self, order: Any) -> Mapping[str, str]:
        return dict(order.shipping_address)


class BillingAddressForm(AddressForm):
    """The corrected billing address; without any text the order has none."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        country: Any = self.fields["country"]
        country.choices = [("", _("None")), *country.choices]
        self._needed = [name for name in _ADDRESS if self.fields[name].required]
        for name in self._needed:
            self.fields[name].required = False

    def address_of(self, order: Any) -> Mapping[str, str]:
        return dict(order.billing_address or {})

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        if any(values.get(name) for name in _ADDRESS):
            for name in self._needed:
                if not values.get(name) and name not in self.errors:
                    self.add_error(name, _("This field is required."))
        return values


class DetailsForm(ActionForm):
    """What can be noted of an order at any time."""

    internal_note = forms.CharField(
        label=_("Internal note"),
        max_length=2000,
        required=False,
        help_text=_("For staff only. Customers never see it."),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
    )
    reference = forms.CharField(
        label=_("Reference"),
        max_length=64,
        required=False,
        help_text=_("The customer's own number of the order. Each can be used once."),
        widget=UnfoldAdminTextInputWidget,
    )
    metadata = forms.CharField(
        label=_("Metadata"),
        required=False,
        help_text=_('Texts by name, as JSON: {"channel": "phone"}. Shown to the customer.'),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4, "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        order = self.subject.order
        self.initial.update(
            internal_note=order.internal_note,
            reference=order.reference or "",
            metadata=encode(order.metadata).decode() if order.metadata else "",
        )

    def clean_internal_note(self) -> str:
        """Browsers send each line break as two characters."""
        return str(self.cleaned_data["internal_note"]).replace("\r\n", "\n")

    def clean_metadata(self) -> dict[str, str]:
        text = self.cleaned_data["metadata"]
        if not text:
            return {}
        try:
            values: dict[str, str] = MetadataField().run_validation(decode(text.encode()))
        except Invalid as error:
            text = _('Enter valid JSON, such as {"channel": "phone"}.')
            raise forms.ValidationError(text) from error
        except serializers.ValidationError as error:
            raise forms.ValidationError(_texts(error.detail)) from error
        return values


def _texts(detail: Any) -> list[str]:
    """The messages of an error of REST framework, each with the name that it is about."""
    if isinstance(detail, dict):
        return [f"{name}: {text}" for name, part in detail.items() for text in _texts(part)]
    return [str(text) for text in detail]


def _correct_address(actor: Actor, subject: OrderPresenter, values: Values) -> str:
    edit_order(
        actor=actor,
        order_id=subject.order.id,
        edit=OrderEdit(shipping_address={name: values[name] for name in _ADDRESS}),
        expected_version=values["expected_version"],
    )
    return gettext("Address corrected. The customer is notified.")


def _correct_billing_address(actor: Actor, subject: OrderPresenter, values: Values) -> str:
    address = {name: values[name] for name in _ADDRESS}
    edit_order(
        actor=actor,
        order_id=subject.order.id,
        edit=OrderEdit(billing_address=address if any(address.values()) else {}),
        expected_version=values["expected_version"],
    )
    return gettext("Billing address corrected.")


def _edit_details(actor: Actor, subject: OrderPresenter, values: Values) -> str:
    names = ("internal_note", "reference", "metadata")
    edit_order(
        actor=actor,
        order_id=subject.order.id,
        edit=OrderEdit(**{name: values[name] for name in names}),
        expected_version=values["expected_version"],
    )
    return gettext("Order %(number)s saved.") % {"number": subject.order.number}


CORRECTIONS = (
    AdminAction(
        name="correct_address",
        in_menu=True,
        label=_("Correct address"),
        icon="home",
        run=_correct_address,
        is_available=lambda subject: subject.order.holds_stock,
        form=AddressForm,
        permissions=(Permission.ORDERS_EDIT,),
        explanation=_("For what is not shipped yet. The customer is notified."),
    ),
    AdminAction(
        name="correct_billing_address",
        in_menu=True,
        label=_("Correct billing address"),
        icon="receipt_long",
        run=_correct_billing_address,
        is_available=lambda subject: subject.order.holds_stock,
        form=BillingAddressForm,
        permissions=(Permission.ORDERS_EDIT,),
        explanation=_("Leave everything empty if the order has no billing address of its own."),
    ),
    AdminAction(
        name="edit_details",
        in_menu=True,
        label=_("Edit note, reference, metadata"),
        icon="edit_note",
        run=_edit_details,
        form=DetailsForm,
        permissions=(Permission.ORDERS_EDIT,),
    ),
)
