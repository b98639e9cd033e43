"""Views of the tests. Their effect is a row in the table of users, which is always there."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

import psycopg
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import IntegrityError, OperationalError, connection
from django.http import Http404
from rest_framework.exceptions import NotAuthenticated as DrfNotAuthenticated
from rest_framework.response import Response
from rest_framework.serializers import ListSerializer

from oms.api.documentation import documented
from oms.api.fields import (
    BooleanField,
    CharField,
    ChoiceField,
    CountryField,
    InstantField,
    IntegerField,
    MoneyField,
    UUIDField,
)
from oms.api.filters import (
    ApiFilterSet,
    BooleanFilter,
    ChoiceFilter,
    ChoiceInFilter,
    DateFilter,
    InstantFilter,
    SearchFilter,
    UUIDFilter,
)
from oms.api.permissions import AllowAny, IsCustomer, IsStaff
from oms.api.serializers import InputSerializer, OutputSerializer
from oms.api.views import ApiView, ApiViewSet
from oms.core import errors
from oms.core.errors import InputError
from oms.db.transactions import DatabaseBusy


class Shortage(errors.Conflict):
    """Not enough of it is there."""

    code = "shortage"


class LineInput(InputSerializer):
    quantity = IntegerField(min_value=1, max_value=10_000)


class EchoInput(InputSerializer):
    """One field of each kind."""

    quantity = IntegerField(min_value=1, max_value=10_000, required=False)
    price = MoneyField(required=False)
    name = CharField(max_length=10, required=False)
    note = CharField(max_length=100, multiline=True, required=False, allow_blank=True)
    flag = BooleanField(required=False)
    country = CountryField(required=False)
    at = InstantField(required=False)
    id = UUIDField(required=False)
    kind = ChoiceField(choices=["a", "b"], required=False)
    items: Any = ListSerializer(child=LineInput(), required=False, max_length=3)


class EffectInput(InputSerializer):
    name = CharField(max_length=200)
    fail_with = IntegerField(min_value=400, max_value=599, required=False)
    seconds = IntegerField(min_value=0, max_value=10, required=False)


class ThingOutput(OutputSerializer):
    id = UUIDField()
    full_name = CharField(max_length=200)
    created_at = InstantField()


class ThingFilters(ApiFilterSet):
    id__in = ChoiceInFilter(field_name="full_name", choices=[("a", "A"), ("b", "B")])
    is_staff = BooleanFilter()
    owner = UUIDFilter(field_name="id")
    created_at__gte = InstantFilter(field_name="created_at", lookup_expr="gte")
    created_at__lt = InstantFilter(field_name="created_at", lookup_expr="lt")
    day = DateFilter(field_name="created_at", lookup_expr="date")
    search = SearchFilter(fields=("full_name", "email"))
    status = ChoiceFilter(field_name="full_name", choices=[("a", "A")])

    class Meta:
        model = get_user_model()
        fields: list[str] = []


def make_effect(name: str) -> Any:
    return get_user_model().objects.create(email=f"{uuid4()}@example.com", full_name=name)


class ThingViewSet(ApiViewSet):
    permissions = {"list": [AllowAny], "retrieve": [AllowAny], "partial_update": [AllowAny]}
    queries = {"retrieve": {"expand"}}
    filterset_class = ThingFilters
    orderings = {"full_name": "full_name", "created_at": "created_at"}

    @documented(summary="List things", response=ThingOutput)
    def list(self, request: Any) -> Response:
        return self.page(get_user_model().objects.all(), ThingOutput)

    @documented(summary="Read a thing", response=ThingOutput, versioned=True)
    def retrieve(self, request: Any, id: str) -> Response:
        return self.respond_conditionally(7, {"id": str(self.path_id())})

    @documented(summary="Change a thing", request=LineInput, response=ThingOutput, versioned=True)
    def partial_update(self, request: Any, id: str) -> Response:
        if self.expected_version() not in (None, 7):
            raise errors.StaleVersion(current_version=7)
        return self.versioned(8, {"id": str(self.path_id())})


class EchoView(ApiView):
    """Says what it understood."""

    permissions = {"post": [AllowAny], "put": [AllowAny]}

    @documented(summary="Echo", request=EchoInput, response=EchoInput, errors=[Shortage])
    def post(self, request: Any) -> Response:
        return Response({key: repr(value) for key, value in self.parse(EchoInput).items()})


class EffectView(ApiView):
    """Has an effect, then perhaps fails, and perhaps takes its time between."""

    permissions = {name: [AllowAny] for name in ("get", "post", "delete")}

    @documented(summary="Act", request=EffectInput, response=ThingOutput, status=201)
    def post(self, request: Any) -> Response:
        data = self.parse(EffectInput)
        thing = make_effect(data["name"])
        if seconds := data.get("seconds"):
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_sleep(%s)", [seconds])
        if status := data.get("fail_with"):
            return Response({"failed": True}, status=status)
        headers = {"Location": f"/api/v1/things/{thing.pk}", "ETag": '"v1"'}
        return Response({"id": thing.pk}, status=201, headers=headers)

    def get(self, request: Any) -> Response:
        actor = self.actor
        return Response({"kind": actor.kind, "label": actor.label, "ip": actor.ip, "id": actor.id})

    def delete(self, request: Any) -> Response:
        make_effect("deleted")
        return Response(status=204)


class SleepView(ApiView):
    """Works without touching the database, after an effect."""

    permissions = {"post": [AllowAny]}

    def post(self, request: Any) -> Response:
        make_effect("slept")
        time.sleep(0.3)
        return Response({})


class StaffView(ApiView):
    permissions = {"get": [IsStaff], "post": [IsCustomer]}

    def get(self, request: Any) -> Response:
        return Response({})

    def post(self, request: Any) -> Response:
        return Response({})


class TextView(ApiView):
    permissions = {"get": [AllowAny]}

    def get(self, request: Any, text: str) -> Response:
        return Response({"count": get_user_model().objects.filter(full_name=text).count()})


def _database_error(cause: psycopg.Error | None) -> OperationalError:
    error = OperationalError("of the database")
    error.__cause__ = cause
    return error


RAISED: dict[str, Exception] = {
    "invalid": errors.Invalid([InputError(pointer="/a", code="wrong", detail="Wrong.")]),
    "not_authenticated": errors.NotAuthenticated(),
    "forbidden": errors.Forbidden(),
    "not_found": errors.NotFound(),
    "conflict": Shortage(
        "Short of 3.", sku="A-1", status="no", errors_are="kept", shortages=[{"n": 1}]
    ),
    "stale": errors.StaleVersion(current_version=7),
    "unprocessable": errors.Unprocessable(),
    "unavailable": errors.Unavailable(),
    "busy": DatabaseBusy(),
    "deadline": errors.DeadlineExceeded(),
    "http404": Http404(),
    "denied": PermissionDenied(),
    "suspicious": SuspiciousOperation(),
    "drf": DrfNotAuthenticated(),
    "deadlock": _database_error(psycopg.errors.DeadlockDetected()),
    "cancelled": _database_error(psycopg.errors.QueryCanceled()),
    "lost": _database_error(psycopg.OperationalError()),
    "integrity": IntegrityError("a bug"),
    "bug": ZeroDivisionError("secret detail"),
}


class ErrorView(ApiView):
    permissions = {"get": [AllowAny]}

    def get(self, request: Any, name: str) -> Response:
        raise RAISED[name]
