"""The API of receipts, transfers and counts."""

from __future__ import annotations

from typing import Any, ClassVar

from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response

from inventory.api import document_examples as examples
from inventory.api.document_serializers import (
    CountDetailOutput,
    CountInput,
    CountOutput,
    ReceiptDetailOutput,
    ReceiptInput,
    ReceiptOutput,
    TransferDetailOutput,
    TransferInput,
    TransferOutput,
)
from inventory.api.filters import StockDocumentFilters
from inventory.errors import ReferenceTaken, StockLinesConflict
from inventory.models import DocumentKind, StockDocument
from inventory.operations.counting import count_stock
from inventory.operations.receiving import receive_stock
from inventory.operations.transferring import transfer_stock
from inventory.queries import stock_document, stock_documents
from oms.api.documentation import documented
from oms.api.permissions import IsStaff
from oms.api.views import ApiViewSet

_ONCE = (
    " A call with a reference that was used before and the same content returns the same answer"
    " and books nothing; other content is a 409."
)
_FEWER = {"stock_conflict": {"errors": [examples.NOT_ON_HAND]}}


class _StockDocuments(ApiViewSet):
    permission_classes = [IsStaff]
    filterset_class = StockDocumentFilters
    kind: ClassVar[DocumentKind]
    output: ClassVar[Any]
    detail_output: ClassVar[Any]
    detail_route: ClassVar[str]

    def _list(self) -> Response:
        return self.page(stock_documents(actor=self.actor, kind=self.kind), self.output)

    def _detail(self) -> Response:
        return Response(self._document(self.path_id()))

    def _created(self, document: StockDocument) -> Response:
        url = reverse(self.detail_route, kwargs={"id": document.id})
        return Response(self._document(document.id), status=201, headers={"Location": url})

    def _document(self, id: Any) -> Any:
        document = stock_document(actor=self.actor, kind=self.kind, id=id)
        return self.detail_output(document).data


class Receipts(_StockDocuments):
    """Deliveries."""

    kind = DocumentKind.RECEIPT
    output, detail_output, detail_route = ReceiptOutput, ReceiptDetailOutput, "stock-receipt"

    @documented(
        summary="List receipts",
        description="Newest first, without their items.",
        response=ReceiptOutput,
        response_example=examples.RECEIPT,
    )
    def list(self, request: Request) -> Response:
        return self._list()

    @documented(
        summary="Receive stock",
        description=(
            "Books up to 1,000 products, named by id or SKU; with a bad line nothing is booked."
            " Orders that wait for the products are served first. More than 50 products are booked"
            " in several steps: `items_booked` says how far it is, and a call that was interrupted"
            " is finished by repeating it, or in the background. With an Idempotency-Key, or when"
            " the deadline is near, the steps after the first follow in the background." + _ONCE
        ),
        request=ReceiptInput,
        response=ReceiptDetailOutput,
        status=201,
        request_example=examples.NEW_RECEIPT,
        response_example=examples.RECEIPT_DETAIL,
        dry_run=True,
        errors=[ReferenceTaken, StockLinesConflict],
        error_examples={"stock_conflict": {"errors": [examples.TOO_MANY]}},
    )
    def create(self, request: Request) -> Response:
        return self._created(receive_stock(actor=self.actor, **self.parse(ReceiptInput)))

    @documented(
        summary="Show a receipt",
        response=ReceiptDetailOutput,
        response_example=examples.RECEIPT_DETAIL,
    )
    def retrieve(self, request: Request, id: Any) -> Response:
        """The receipt with its items."""
        return self._detail()


class Transfers(_StockDocuments):
    """Transfers between locations."""

    kind = DocumentKind.TRANSFER
    output, detail_output, detail_route = TransferOutput, TransferDetailOutput, "stock-transfer"

    @documented(
        summary="List transfers",
        description="Newest first, without their items.",
        response=TransferOutput,
        response_example=examples.TRANSFER,
    )
    def list(self, request: Request) -> Response:
        return self._list()

    @documented(
        summary="Transfer stock",
        description=(
            "Moves up to 1,000 products, named by id or SKU, to another location; all of them or,"
            " where less is on hand, none. Reserved quantities may be transferred." + _ONCE
        ),
        request=TransferInput,
        response=TransferDetailOutput,
        status=201,
        request_example=examples.NEW_TRANSFER,
        response_example=examples.TRANSFER_DETAIL,
        dry_run=True,
        errors=[ReferenceTaken, StockLinesConflict],
        error_examples=_FEWER,
    )
    def create(self, request: Request) -> Response:
        return self._created(transfer_stock(actor=self.actor, **self.parse(TransferInput)))

    @documented(
        summary="Show a transfer",
        response=TransferDetailOutput,
        response_example=examples.TRANSFER_DETAIL,
    )
    def retrieve(self, request: Request, id: Any) -> Response:
        """The transfer with its items."""
        return self._detail()


class Counts(_StockDocuments):
    """Counts of what is on hand."""

    kind = DocumentKind.COUNT
    output, detail_output, detail_route = CountOutput, CountDetailOutput, "stock-count"

    @documented(
        summary="List counts",
        description="Newest first, without their items.",
        response=CountOutput,
        response_example=examples.COUNT,
    )
    def list(self, request: Request) -> Response:
        return self._list()

    @documented(
        summary="Count stock",
        description=(
            "Sets what is on hand of up to 1,000 products, named by id or SKU; may be less than"
            " what is reserved. With `expected_on_hand` a count is refused if the stock has changed"
            " since it was read; then nothing is booked." + _ONCE
        ),
        request=CountInput,
        response=CountDetailOutput,
        status=201,
        request_example=examples.NEW_COUNT,
        response_example=examples.COUNT_DETAIL,
        dry_run=True,
        errors=[ReferenceTaken, StockLinesConflict],
        error_examples={"stock_conflict": {"errors": [examples.UNEXPECTED]}},
    )
    def create(self, request: Request) -> Response:
        return self._created(count_stock(actor=self.actor, **self.parse(CountInput)))

    @documented(
        summary="Show a count", response=CountDetailOutput, response_example=examples.COUNT_DETAIL
    )
    def retrieve(self, request: Request, id: Any) -> Response:
        """The count with its items."""
        return self._detail()
