"""The bases of all views. A view is an envelope: permission, parse, one operation, present.

class OrderViewSet(ApiViewSet):
    permissions = {"create": [IsCustomer], "list": [IsCustomer], "retrieve": [IsCustomer]}
    queries = {"retrieve": {"expand"}}
    filterset_class = OrderFilters
    orderings = {"placed_at": "placed_at", "total": "total"}

    def list(self, request):
        return self.page(orders_visible_to(self.actor), OrderOutput)

    def create(self, request):
        data = self.parse(OrderInput)
        order = place_order(actor=self.actor, **data)
        return Response(OrderOutput(order).data, status=201)

    def partial_update(self, request, id):
        data = self.parse(OrderInput, partial=True)
        order = edit_order(
            actor=self.actor,
            order_id=self.path_id(),
            expected_version=self.expected_version(),
            **data,
        )
        return self.versioned(order.version, OrderOutput(order).data)

    def retrieve(self, request, id):
        order = find_order(self.path_id(), actor=self.actor)
        return self.respond_conditionally(order.version, OrderOutput(order).data)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from django.db.models import QuerySet
from rest_framework import exceptions
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import ViewSetMixin

from oms.api.keyset import DEFAULT_ORDERING, PARAMETERS, Page
from oms.api.pagination import asked_of, page_document
from oms.api.permissions import IsAuthenticated
from oms.core.actor import Actor
from oms.core.errors import NotFound
from oms.db.raw_queries import rows_of
from oms.http import etags
from oms.http.identity import IdentityAuthentication, actor_of
from oms.http.queries import check_query

R = TypeVar("R", bound=tuple[Any, ...])

UUID_PATTERN = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"


class ApiView(GenericAPIView[Any]):
    """A view of one address, whose methods are `get`, `post`, `put`, `patch` and `delete`.

    `permissions` and `queries` go by action; a view without actions has the names of its methods.
    """

    authentication_classes = [IdentityAuthentication]
    permission_classes = [IsAuthenticated]
    http_method_names = ["get", "post", "put", "patch", "delete", "head"]
    queryset: Any = None

    # Who may call which action; `permission_classes` for the actions that are not named.
    permissions: ClassVar[Mapping[str, Sequence[type[BasePermission]]]] = {}
    # The query parameters of each action, beside those of its filters and pages.
    queries: ClassVar[Mapping[str, Collection[str]]] = {}
    # Of a list: what `ordering` takes, and the field of the queryset for each.
    orderings: Mapping[str, str] = {}
    default_ordering: str = DEFAULT_ORDERING
    filterset_class: Any = None
    # The actions that answer with pages. Those with a `filterset_class` of their own always do.
    paged_actions: Collection[str] = ("list",)

    @property
    def current_action(self) -> str:
        """The viewset's action, or the method of a view that has none."""
        action = getattr(self, "action", None)
        if action:
            return str(action)
        method = (self.request.method or "").lower()
        return "get" if method == "head" else method

    @cached_property
    def actor(self) -> Actor:
        """Who asks."""
        return actor_of(self.request._request)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        # Before any question of who asks: the answer is the same for all.
        method = (request.method or "").lower()
        if method not in self.http_method_names or not hasattr(self, method):
            raise exceptions.MethodNotAllowed(request.method or "")
        super().initial(request, *args, **kwargs)
        check_query(request.query_params, known=self.known_parameters())

    def get_permissions(self) -> list[Any]:
        classes = self.permissions.get(self.current_action, self.permission_classes)
        return [permission() for permission in classes]

    def is_paged(self) -> bool:
        """Whether the current action answers with pages."""
        return self.current_action in self.paged_actions

    def known_parameters(self) -> frozenset[str]:
        """The query parameters of the current action."""
        known = frozenset(self.queries.get(self.current_action, ()))
        if self.is_paged():
            known |= PARAMETERS
            if self.filterset_class is not None:
                known |= frozenset(self.filterset_class.base_filters)
        return known

    def parse(
        self, serializer_class: type[BaseSerializer[Any]], *, partial: bool = False
    ) -> Mapping[str, Any]:
        """The body as `serializer_class` validates it; what is missing may be, if `partial`."""
        serializer = serializer_class(data=self.request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        data: Mapping[str, Any] = serializer.validated_data
        return data

    def path_id(self, name: str = "id") -> UUID:
        """The id in the path. Raises NotFound where it is no UUID."""
        value = self.kwargs[name]
        if isinstance(value, UUID):
            return value
        try:
            return UUID(value)
        except ValueError as error:
            raise NotFound from error

    def page(
        self, queryset: QuerySet[Any], serializer_class: type[BaseSerializer[Any]], **context: Any
    ) -> Response:
        """One page of `queryset`, filtered and ordered as the query says, with the `context`."""
        rows = self.paginate_queryset(self.filter_queryset(queryset)) or []
        serializer = serializer_class(rows, many=True, context=context)
        return self.get_paginated_response(serializer.data)

    def page_of(self, row: type[R], queryset: QuerySet[Any]) -> Page[R]:
        """One page of `queryset` as plain rows, filtered and ordered as the query says."""
        queryset = self.filter_queryset(queryset)
        asked = asked_of(queryset, self.request, self)
        return asked.page(rows_of(row, asked.of(queryset)))

    def respond_with_page(self, page: Page[R], *, etag: str, show: Callable[[], Any]) -> Response:
        """The page with its ETag, and with what `show` makes of its rows; or 304."""
        return self.respond_tagged(etag, show=lambda: page_document(self.request, page, show()))

    def respond_tagged(self, etag: str, *, show: Callable[[], Any]) -> Response:
        """What `show` makes, with its ETag; or 304 without a body if the client has it already."""
        if etags.is_unchanged(self.request._request, etag=etag):
            return Response(status=304, headers={"ETag": etag})
        return Response(show(), headers={"ETag": etag})

    def expected_version(self) -> int | None:
        """The version that If-Match wants; None if any will do."""
        return etags.expected_version(self.request._request)

    def versioned(self, version: int, data: Any, *, status: int = 200) -> Response:
        """An answer with the ETag of `version`."""
        return Response(data, status=status, headers={"ETag": etags.etag_for(version)})

    def respond_conditionally(self, version: int, data: Any, *, variant: str = "") -> Response:
        """An answer with its ETag, or 304 without a body if the client has it already.

        `variant` tells apart the answers of one version: by what is expanded, or by who asks.
        """
        return self.respond_tagged(etags.etag_for(version, variant=variant), show=lambda: data)


class ApiViewSet(ViewSetMixin, ApiView):
    """A view of a resource, whose methods are actions; routers find it by UUID."""

    lookup_field = "id"
    lookup_value_regex = UUID_PATTERN
