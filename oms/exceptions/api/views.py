"""The API of exceptions."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from oms.api.documentation import documented
from oms.api.permissions import IsStaff
from oms.api.views import ApiViewSet
from oms.exceptions.api.filters import ExceptionFilters
from oms.exceptions.api.serializers import ExceptionOutput, ResolveInput
from oms.exceptions.errors import ExceptionAlreadyResolved
from oms.exceptions.operations.resolving import resolve_exception
from oms.exceptions.queries import exceptions_visible_to

_EXCEPTION: dict[str, Any] = {
    "id": "019aa3a0-2c3d-7e20-8b4f-1e6d5c4b3a2a",
    "kind": "captured_amount_differs",
    "subject": "payment:019aa2f4-7c1f-7c30-8d41-6f2f0a9b7e15",
    "cause": "The provider captured 1.00 EUR instead of 59.70 EUR.",
    "since": "2026-11-21T09:30:02Z",
    "order_id": "019aa2f4-7c1e-7d52-9b0a-3c5f6e8d1a27",
    "payment_id": "019aa2f4-7c1f-7c30-8d41-6f2f0a9b7e15",
    "operations": ["pay", "refund", "cancel"],
    "resolved_at": None,
    "resolved_by": "",
    "note": "",
}


class ExceptionViewSet(ApiViewSet):
    """What needs a person."""

    permission_classes = [IsStaff]
    filterset_class = ExceptionFilters

    @documented(
        summary="List exceptions",
        description=(
            "What the shop could not settle by itself, newest first, as far as the caller may view"
            " what it is about: payments and refunds with `payments.view`, orders with"
            " `orders.view`, e-mail with `customers.view`, events with `audit.view`. An exception"
            " is resolved by the operation that mends it, or by hand."
        ),
        response=ExceptionOutput,
        response_example=_EXCEPTION,
    )
    def list(self, request: Request) -> Response:
        return self.page(exceptions_visible_to(self.actor), ExceptionOutput)

    @documented(
        summary="Resolve an exception",
        description="Closes it by hand; what it is about stays as it is.",
        request=ResolveInput,
        response=ExceptionOutput,
        request_example={"note": "Agreed with the customer by phone."},
        response_example={
            **_EXCEPTION,
            "resolved_at": "2026-11-21T10:05:00Z",
            "resolved_by": "sam@example.com",
            "note": "Agreed with the customer by phone.",
        },
        errors=[ExceptionAlreadyResolved],
        error_examples={"exception_already_resolved": {"resolved_at": "2026-11-21T10:05:00Z"}},
    )
    def resolve(self, request: Request, id: Any) -> Response:
        exception = resolve_exception(
            actor=self.actor, exception_id=self.path_id(), **self.parse(ResolveInput)
        )
        return Response(ExceptionOutput(exception).data)
