"""The REST calls about products and stock."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from inventory.api import examples
from inventory.api.filters import LowStockFilters, MovementFilters, ProductFilters
from inventory.api.products import etag_of_product, etag_of_products, product_documents
from inventory.api.serializers import (
    AdjustmentInput,
    InventoryOutput,
    MovementOutput,
    NewProductInput,
    ProductInput,
    StaffInventoryOutput,
    StaffProductOutput,
    product_document,
)
from inventory.errors import SkuTaken, StockConflict
from inventory.models import Product
from inventory.operations.adjustments import adjust_stock
from inventory.operations.products import change_product, create_product
from inventory.queries import (
    ProductRow,
    available_of,
    find_product,
    low_stock_products,
    products_visible_to,
    stock_movements,
    stock_of_product,
)
from oms.api.documentation import documented
from oms.api.permissions import AllowAny, IsStaff
from oms.api.views import ApiView, ApiViewSet


class ProductViewSet(ApiViewSet):
    """Products: seen by anyone, made and changed by staff."""

    permission_classes = [IsStaff]
    permissions = {"list": [AllowAny], "retrieve": [AllowAny], "inventory": [AllowAny]}
    filterset_class = ProductFilters
    orderings = {
        "name": "name",
        "price": "price",
        "created_at": "created_at",
        "updated_at": "updated_at",
    }

    @documented(
        summary="List products",
        description="Newest first, unless `ordering` says else. Inactive ones only for staff.",
        response=StaffProductOutput,
        response_example=examples.PRODUCT,
        versioned=True,
    )
    def list(self, request: Request) -> Response:
        for_staff = self.actor.is_staff
        page = self.page_of(ProductRow, products_visible_to(actor=self.actor))
        available = available_of(product.id for product in page.rows)
        return self.respond_with_page(
            page,
            etag=etag_of_products(page, available=available, for_staff=for_staff),
            show=lambda: product_documents(page.rows, available=available, for_staff=for_staff),
        )

    @documented(
        summary="Add a product",
        request=NewProductInput,
        response=StaffProductOutput,
        status=201,
        request_example=examples.NEW_PRODUCT,
        response_example=examples.STAFF_PRODUCT,
        errors=[SkuTaken],
        versioned=True,
    )
    def create(self, request: Request) -> Response:
        made = create_product(actor=self.actor, **self.parse(NewProductInput))
        response = self._changed(made, status=201)
        response["Location"] = reverse("product-detail", kwargs={"id": made.id})
        return response

    @documented(
        summary="Look at a product",
        description=(
            'The ETag names the version and what is available, such as `"v7-42"`; as If-Match it '
            "counts for its version alone."
        ),
        response=StaffProductOutput,
        response_example=examples.PRODUCT,
        versioned=True,
    )
    def retrieve(self, request: Request, id: str) -> Response:
        product = find_product(actor=self.actor, product_id=self.path_id())
        [available] = available_of([product.id])
        return self.respond_tagged(
            etag_of_product(product, available=available, actor=self.actor),
            show=lambda: self._document(product, available=available),
        )

    @documented(
        summary="Replace a product",
        description="What is missing gets its default.",
        request=ProductInput,
        response=StaffProductOutput,
        request_example=examples.PRODUCT_REPLACEMENT,
        response_example=examples.STAFF_PRODUCT,
        errors=[SkuTaken, StockConflict],
        versioned=True,
    )
    def update(self, request: Request, id: str) -> Response:
        return self._change(partial=False)

    @documented(
        summary="Change some of a product",
        description="What is missing stays as it is.",
        request=ProductInput,
        response=StaffProductOutput,
        request_example=examples.PRODUCT_CHANGE,
        response_example=examples.STAFF_PRODUCT,
        errors=[SkuTaken, StockConflict],
        versioned=True,
    )
    def partial_update(self, request: Request, id: str) -> Response:
        return self._change(partial=True)

    @documented(
        summary="Look at the stock of a product",
        description="Staff also see what is on hand and reserved, in all and at each location.",
        response=StaffInventoryOutput,
        response_example=examples.INVENTORY,
    )
    @action(detail=True, methods=["get"])
    def inventory(self, request: Request, id: str) -> Response:
        stock = stock_of_product(actor=self.actor, product_id=self.path_id())
        output = StaffInventoryOutput if self.actor.is_staff else InventoryOutput
        return Response(output(stock).data)

    def _change(self, *, partial: bool) -> Response:
        changed = change_product(
            actor=self.actor,
            product_id=self.path_id(),
            values=dict(self.parse(ProductInput, partial=partial)),
            expected_version=self.expected_version(),
        )
        return self._changed(changed, status=200)

    def _changed(self, product: Product, *, status: int) -> Response:
        [available] = available_of([product.id])
        document = self._document(product, available=available)
        return self.versioned(product.version, document, status=status)

    def _document(self, product: ProductRow | Product, *, available: int) -> dict[str, Any]:
        return product_document(product, available=available, for_staff=self.actor.is_staff)


class AdjustmentView(ApiView):
    """Correcting the stock by hand."""

    permission_classes = [IsStaff]

    @documented(
        summary="Correct the stock",
        description=(
            "Either by `delta`, or by a count: `set_to` with the `expected_on_hand` that the count "
            "was compared with."
        ),
        request=AdjustmentInput,
        response=MovementOutput,
        status=201,
        request_example=examples.ADJUSTMENT,
        response_example=examples.MOVEMENT,
        errors=[StockConflict],
        error_examples={"stock_conflict": {"on_hand": 12, "reserved": 3}},
    )
    def post(self, request: Request) -> Response:
        movement = adjust_stock(actor=self.actor, **self.parse(AdjustmentInput))
        return Response(MovementOutput(movement).data, status=201)


class MovementView(ApiView):
    """The ledger of every piece that moved, newest first."""

    permission_classes = [IsStaff]
    filterset_class = MovementFilters
    paged_actions = ("get",)

    @documented(
        summary="Read the stock ledger",
        description="Every piece that moved, newest first. Entries are never changed.",
        response=MovementOutput,
        response_example=examples.MOVEMENT,
    )
    def get(self, request: Request) -> Response:
        return self.page(stock_movements(), MovementOutput)


class LowStockView(ApiView):
    """Products that run out, the scarcest first."""

    permission_classes = [IsStaff]
    filterset_class = LowStockFilters
    orderings = {"available": "available"}
    default_ordering = "available"
    paged_actions = ("get",)

    @documented(
        summary="List what runs out",
        description="Products with as few pieces as their threshold or fewer, the scarcest first.",
        response=StaffProductOutput,
        response_example=examples.STAFF_PRODUCT,
    )
    def get(self, request: Request) -> Response:
        return self.page(low_stock_products(), StaffProductOutput)
