"""The API of customers for staff."""

from __future__ import annotations

from typing import Any

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from notifications.models import DeliveryState, Kind, Notification
from oms.api.documentation import documented
from oms.api.fields import (
    ChoiceField,
    CurrencyField,
    InstantField,
    IntegerField,
    MoneyField,
    UUIDField,
)
from oms.api.filters import ApiFilterSet, CreationFilter, SearchFilter
from oms.api.permissions import IsStaff
from oms.api.serializers import OutputSerializer
from oms.api.views import ApiViewSet
from oms.core.money import formatted
from oms.customers.queries import (
    CustomerFigures,
    customers,
    figures_of,
    find_customer,
    latest_mails_to,
)
from oms.users.models import User

_MAILS = 20
_MAX_INTEGER = 2**31 - 1

_EXAMPLE: dict[str, Any] = {
    "id": "019aa2d1-3f2e-7b90-91c4-6a5b4c3d2e1f",
    "email": "ada@example.com",
    "full_name": "Ada Lovelace",
    "phone": "+49 30 1234567",
    "language": "de",
    "is_active": True,
    "created_at": "2026-11-20T08:15:00Z",
    "orders_count": 3,
    "last_order_at": "2026-11-21T09:30:00Z",
    "total_spent": [{"currency": "EUR", "amount": "179.10"}],
    "mails_sent": 9,
}
_MAIL: dict[str, Any] = {
    "id": "019aa2f4-9e11-7c02-a6b3-2f1e0d9c8b7a",
    "kind": "order_placed",
    "subject": "Your order 20261121-7K3M9Q",
    "state": "sent",
    "order_id": "019aa2f4-7c1e-7d52-9b0a-3c5f6e8d1a27",
    "created_at": "2026-11-21T09:30:01Z",
    "sent_at": "2026-11-21T09:30:02Z",
}


class CustomerFilters(ApiFilterSet):
    search = SearchFilter(
        fields=("full_name", "email", "phone"),
        help_text="All words must occur in the name, e-mail address or phone, in any case.",
    )
    created_at__gte = CreationFilter(field_name="created_at", lookup_expr="gte")
    created_at__lt = CreationFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = User
        fields: list[str] = []


class SpentOutput(OutputSerializer):
    """An amount in one currency."""

    currency = CurrencyField()
    amount = MoneyField()


class CustomerOutput(OutputSerializer):
    """A customer, as `_document` presents it."""

    id = UUIDField()
    email = serializers.EmailField()
    full_name = serializers.CharField()
    phone = serializers.CharField(help_text="Empty if there is none.")
    language = serializers.CharField(
        help_text="A language tag (BCP 47). Empty: the shop's own language."
    )
    is_active = serializers.BooleanField()
    created_at = InstantField()
    orders_count = IntegerField(
        min_value=0, max_value=_MAX_INTEGER, help_text="Without deleted ones."
    )
    last_order_at = InstantField(allow_null=True)
    total_spent = SpentOutput(
        many=True, help_text="The money kept for what is still sold, by currency."
    )
    mails_sent = IntegerField(min_value=0, max_value=_MAX_INTEGER)


class MailOutput(OutputSerializer):
    """A mail to a customer."""

    id = UUIDField()
    kind = ChoiceField(choices=Kind.choices)
    subject = serializers.CharField()
    state = ChoiceField(choices=DeliveryState.choices)
    order_id = UUIDField(allow_null=True)
    created_at = InstantField()
    sent_at = InstantField(allow_null=True)


class CustomerDetailOutput(CustomerOutput):
    """A customer with the latest mails."""

    mails = MailOutput(many=True, help_text=f"The latest {_MAILS}, the newest first.")


def _document(customer: User, figures: CustomerFigures) -> dict[str, Any]:
    return {
        "id": customer.id,
        "email": customer.email,
        "full_name": customer.full_name,
        "phone": customer.phone,
        "language": customer.language,
        "is_active": customer.is_active,
        "created_at": customer.created_at,
        "orders_count": figures.orders,
        "last_order_at": figures.last_order_at,
        "total_spent": [
            {"currency": currency, "amount": formatted(amount, currency)}
            for currency, amount in figures.spent
        ],
        "mails_sent": figures.mails,
    }


def _mail(mail: Notification) -> dict[str, Any]:
    names = ("id", "kind", "subject", "state", "order_id", "created_at", "sent_at")
    return {name: getattr(mail, name) for name in names}


class CustomerViewSet(ApiViewSet):
    """Customers, for staff who may view them."""

    permission_classes = [IsStaff]
    filterset_class = CustomerFilters

    @documented(
        summary="List customers",
        description=(
            "All accounts but those of staff, newest first, with the figures of their orders. Their"
            " orders are at /admin/orders with `customer_id`."
        ),
        response=CustomerOutput,
        response_example=_EXAMPLE,
    )
    def list(self, request: Request) -> Response:
        found = self.filter_queryset(customers(actor=self.actor))
        rows = self.paginate_queryset(found) or []
        figures = figures_of([row.id for row in rows])
        return self.get_paginated_response([_document(row, figures[row.id]) for row in rows])

    @documented(
        summary="Show a customer",
        description="A customer with the figures of the orders, and the latest mails.",
        response=CustomerDetailOutput,
        response_example={**_EXAMPLE, "mails": [_MAIL]},
    )
    def retrieve(self, request: Request, id: Any) -> Response:
        customer = find_customer(self.path_id(), actor=self.actor)
        document = _document(customer, figures_of([customer.id])[customer.id])
        mails = latest_mails_to(customer.id, limit=_MAILS)
        return Response({**document, "mails": [_mail(mail) for mail in mails]})


urlpatterns = [
    path("admin/customers", CustomerViewSet.as_view({"get": "list"}), name="admin-customers"),
    path(
        "admin/customers/<uuid:id>",
        CustomerViewSet.as_view({"get": "retrieve"}),
        name="admin-customer",
    ),
]
