"""The bases of all views. A view is an envelope: permission, parse, one operation, present.

class Orders(ApiViewSet):
    permissions = {"create": [IsCustomer], "cancel": [IsCustomer], "list": [IsCustomer]}
    filterset_class = OrderFilters
    orderings = {"placed_at": "id", "updated_at": "updated_at"}

    def cancel(self, request, id):
        order = cancel_order(
            actor=self.actor,
            order_id=self.path_id(),
            expected_version=self.expected_version(),
            **self.parse(CancelInput),
        )
        return self.versioned(order.version, order_document(order, actor=self.actor))

    @fast_path(PlaceOrders, "one", body=OrderInput)  # a hot route: see oms/api/handlers.py
    def create(self, request):
        return self.handle()
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from rest_framework import exceptions
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import ViewSetMixin

from oms.api.documentation import documentation_of, documented, takes_precondition
from oms.api.dry_runs import answer_dry_run, check_dry_run
from oms.api.handlers import ApiAnswer, ApiCall, FastPath, fast_path_of, list_query
from oms.api.keyset import DEFAULT_ORDERING, PARAMETERS
from oms.api.permissions import IsAuthenticated
from oms.core.actor import Actor
from oms.core.errors import NotFound
from oms.db.pipeline import Pipeline
from oms.db.transactions import transaction
from oms.http import etags
from oms.http.headers import PreconditionUnsupported
from oms.http.identity import IdentityAuthentication, actor_of
from oms.http.problems import problem_response
from oms.http.queries import DRY_RUN, check_query, is_dry_run
from oms.http.route_limits import count_body

UUID_PATTERN = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"


class ApiView(GenericAPIView[Any]):
    """A view of one address, whose methods are `get`, `post`, `put`, `patch` and `delete`.

    `permissions` and `queries` are by action; a view without actions has the names of its methods.
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
        """The actor of the request."""
        return actor_of(self.request._request)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        def answer() -> HttpResponseBase:
            return super(ApiView, self).dispatch(request, *args, **kwargs)

        if is_dry_run(request.GET) and self._takes_dry_run(request.method or ""):
            return answer_dry_run(request, answer)
        return answer()

    def _takes_dry_run(self, method: str) -> bool:
        # The action is not known before the request is dispatched.
        actions = getattr(self, "action_map", None) or {}
        said = documentation_of(getattr(self, actions.get(method.lower(), method.lower()), None))
        return said is not None and said.dry_run

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        # Before authentication: the answer is the same for all.
        method = (request.method or "").lower()
        if method not in self.http_method_names or not hasattr(self, method):
            raise exceptions.MethodNotAllowed(request.method or "")
        super().initial(request, *args, **kwargs)
        check_query(request.query_params, known=self.known_parameters())
        check_dry_run(request.query_params.get(DRY_RUN))
        is_write = method not in ("get", "head")
        if is_write and "If-Match" in request.headers and not self._takes_precondition():
            raise PreconditionUnsupported

    @property
    def documentation(self) -> documented | None:
        """What is said of the current action, some of which has an effect."""
        return documentation_of(getattr(self, self.current_action, None))

    def _takes_precondition(self) -> bool:
        return takes_precondition(self.documentation, self.request.method or "")

    def get_permissions(self) -> list[Any]:
        classes = self.permissions.get(self.current_action, self.permission_classes)
        return [permission() for permission in classes]

    def is_paged(self) -> bool:
        """Whether the current action answers with pages."""
        return self.current_action in self.paged_actions

    def known_parameters(self) -> frozenset[str]:
        """The query parameters of the current action."""
        known = frozenset(self.queries.get(self.current_action, ()))
        if self.documentation is not None and self.documentation.dry_run:
            known |= {DRY_RUN}
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

    def handle(self) -> HttpResponse:
        """The answer of the action's handler (oms/api/handlers.py) to this request."""
        route = fast_path_of(getattr(self, self.current_action))
        assert route is not None, "the action has no handler"
        # First, for a signature is verified before anything is read from the database.
        data = self._call_data(route)
        call = ApiCall(
            name=route.name,
            path=self.request.path,
            request_id=self.actor.request_id,
            data=data,
            if_none_match=self.request.headers.get("If-None-Match"),
            actor=self.actor,
        )
        if route.cost is not None and not is_dry_run(self.request._request.GET):
            http_request = self.request._request
            problem = count_body(http_request, cost=route.cost(call.data))
            if problem is not None:
                return problem_response(request=http_request, problem=problem)
        answer = (_answer_in_transaction if route.handler.is_write else _answer)(route, call)
        response = HttpResponse(answer.body, status=answer.status, headers=answer.headers)
        if "Content-Type" not in answer.headers:
            del response["Content-Type"]
        return response

    def _call_data(self, route: FastPath) -> Any:
        if route.body is not None:
            return self.parse(route.body)
        if route.parse is not None:
            raw = self.request._request
            return route.parse(headers=raw.headers, body=raw.body, **self.kwargs)
        if "id" in self.kwargs:
            return self.path_id()
        site = self.request.build_absolute_uri("/")[:-1]
        params = self.request.query_params.dict()
        return list_query(type(self), params, site=site, path=self.request.path)

    def expected_version(self) -> int | None:
        """The version that If-Match requires; None if any will do.

        Every action that changes something with a version passes it on to its operation, which
        compares it once the object is locked; its `documented` says so. All others refuse If-Match.
        """
        return etags.expected_version(self.request._request)

    def versioned(self, version: int, data: Any, *, status: int = 200) -> Response:
        """An answer with the ETag of `version`."""
        return Response(data, status=status, headers={"ETag": etags.etag_for(version)})

    def respond_conditionally(self, version: int, data: Any, *, variant: str = "") -> Response:
        """An answer with its ETag, or 304 without a body if the client has it already.

        `variant` distinguishes answers of one version, such as by what is expanded.
        """
        etag = etags.etag_for(version, variant=variant)
        if etags.is_unchanged(self.request._request, etag=etag):
            return Response(status=304, headers={"ETag": etag})
        return Response(data, headers={"ETag": etag})


def _answer(route: FastPath, call: ApiCall) -> ApiAnswer:
    with Pipeline() as pipeline:
        [answer] = route.handler([call], pipeline=pipeline).answers([call])
    return answer


_answer_in_transaction = transaction(_answer)


class ApiViewSet(ViewSetMixin, ApiView):
    """A view of a resource, whose methods are actions; routers find it by UUID."""

    lookup_field = "id"
    lookup_value_regex = UUID_PATTERN
