"""The API of products and stock."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from inventory.api import examples
from inventory.api.filters import LowStockFilters, MovementFilters, ProductFilters
from inventory.api.reading import ReadProducts
from inventory.api.serializers import (
    AdjustmentInput,
    AvailabilityOutput,
    InventoryOutput,
    MovementOutput,
    NewProductInput,
    ProductInput,
    StaffInventoryOutput,
    StaffProductOutput,
    product_document,
)
from inventory.availability import explain_availability, stock_of_product_at
from inventory.errors import SkuTaken, StockConflict
from inventory.models import Product
from inventory.operations.adjustments import adjust_stock
from inventory.operations.products import change_product, create_product
from inventory.queries import (
    available_of,
    low_stock_products,
    sees_inactive,
    stock_movements,
    stock_of_product,
)
from oms.api.documentation import documented
from oms.api.handlers import fast_path
from oms.api.past_times import AT, past_time
from oms.api.permissions import AllowAny, IsStaff
from oms.api.views import ApiView, ApiViewSet
from oms.core.errors import PermissionDenied
from oms.core.permissions import Permission


class ProductViewSet(ApiViewSet):
    """Products: visible to anyone, created and changed by staff."""

    permission_classes = [IsStaff]
    permissions = {"list": [AllowAny], "retrieve": [AllowAny], "inventory": [AllowAny]}
    queries = {"inventory": {"at"}}
    filterset_class = ProductFilters
    orderings = {
        "name": "name",
        "price": "price",
        "created_at": "created_at",
        "updated_at": "updated_at",
    }

    @documented(
        summary="List products",
        description=(
            "Newest first, unless `ordering` says otherwise. Inactive ones only for staff with"
            " `stock.view` or `products.edit`."
        ),
        response=StaffProductOutput,
        response_example=examples.PRODUCT,
        versioned=True,
    )
    @fast_path(ReadProducts, "products", slow_filters={"search", "in_stock"})
    def list(self, request: Request) -> HttpResponse:
        return self.handle()

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
        summary="Show a product",
        description=(
            'The ETag names the version and the available quantity, such as `"v7-42"`; as If-Match '
            "only the version counts."
        ),
        response=StaffProductOutput,
        response_example=examples.PRODUCT,
        versioned=True,
    )
    @fast_path(ReadProducts, "product")
    def retrieve(self, request: Request, id: str) -> HttpResponse:
        return self.handle()

    @documented(
        summary="Replace a product",
        description="Members that are missing get their defaults.",
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
        summary="Update a product",
        description="Members that are missing stay as they are.",
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
        summary="Show the stock of a product",
        description=(
            "Staff with `stock.view` also see the quantities on hand and reserved, in total and by"
            " location, and with `at` the stock as of a past time, by the ledger; its threshold is"
            " the present one."
        ),
        parameters={"at": AT},
        errors=[PermissionDenied],
        response=StaffInventoryOutput,
        response_example=examples.INVENTORY,
    )
    @action(detail=True, methods=["get"])
    def inventory(self, request: Request, id: str) -> Response:
        at, id_ = past_time(request.query_params), self.path_id()
        if at is None:
            stock = stock_of_product(actor=self.actor, product_id=id_)
        else:
            stock = stock_of_product_at(actor=self.actor, product_id=id_, at=at)
        sees_all = self.actor.may(Permission.STOCK_VIEW)
        output = StaffInventoryOutput if sees_all else InventoryOutput
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
        document = product_document(
            product, available=available, for_staff=sees_inactive(self.actor)
        )
        return self.versioned(product.version, document, status=status)


class AdjustmentView(ApiView):
    """Manual stock adjustments."""

    permission_classes = [IsStaff]

    @documented(
        summary="Correct the stock",
        description=(
            "Either by `delta`, or by a count: `set_to` with the `expected_on_hand` that the count "
            "was compared with. It may fall below what is reserved, but not below zero: allocations"
            " move to other locations, and what finds no stock waits, the latest order first."
            " `received` needs a plus, `damaged` and `lost` a minus."
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
    """The stock ledger, newest first."""

    permission_classes = [IsStaff]
    filterset_class = MovementFilters
    paged_actions = ("get",)

    @documented(
        summary="Read the stock ledger",
        description="Every stock movement, newest first. Entries are never changed.",
        response=MovementOutput,
        response_example=examples.MOVEMENT,
    )
    def get(self, request: Request) -> Response:
        return self.page(stock_movements(actor=self.actor), MovementOutput)


class AvailabilityView(ApiView):
    """Why so much of a product is available."""

    permission_classes = [IsStaff]

    @documented(
        summary="Explain what is available of a product",
        description=(
            "What is on hand and reserved, by which orders and where; which orders wait, in the"
            " order in which they are served; and what receipts that are not finished are yet to"
            " bring. Orders are shown to staff with `orders.view`; each list has at most 200 rows."
        ),
        response=AvailabilityOutput,
        response_example=examples.AVAILABILITY,
    )
    def get(self, request: Request, id: Any) -> Response:
        availability = explain_availability(actor=self.actor, product_id=self.path_id())
        document = AvailabilityOutput(availability).data
        if availability.queue is None:
            del document["reserved_by"], document["queue"]
        return Response(document)


class LowStockView(ApiView):
    """Products that are low in stock, the scarcest first."""

    permission_classes = [IsStaff]
    filterset_class = LowStockFilters
    orderings = {"available": "available"}
    default_ordering = "available"
    paged_actions = ("get",)

    @documented(
        summary="List products low in stock",
        description="Products available at or below their threshold, the scarcest first.",
        response=StaffProductOutput,
        response_example=examples.STAFF_PRODUCT,
    )
    def get(self, request: Request) -> Response:
        return self.page(low_stock_products(actor=self.actor), StaffProductOutput)
