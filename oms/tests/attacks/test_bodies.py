"""Every place of every body with wrong values, and members that the contract does not have.

The bodies are those of the OpenAPI document. All are refused with 400, and nothing changes.
"""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework import serializers

from oms.api.serializers import InputSerializer
from oms.core.permissions import Permission
from oms.testing.factories import permission_rows
from oms.tests.attacks.access import EXPECTED
from oms.tests.attacks.document import (
    Place,
    Schema,
    body_schema,
    encoded,
    member_names,
    operation_of,
    places,
    pointer_of,
    with_value,
    wrong_values,
)
from oms.tests.attacks.shop import Request, Shop, database_digest, undone

pytestmark = pytest.mark.django_db

WRITES = sorted(
    (operation for operation in EXPECTED if operation[0] != "GET"), key=lambda o: o[::-1]
)
# The provider signs its body, which is its own; these have none at all.
WITHOUT_BODY = {
    ("POST", "payment-webhook"),
    ("DELETE", "order"),
    ("PUT", "notification-read"),
    ("POST", "stream-tickets"),
    ("POST", "product-stock-alerts"),
    ("DELETE", "product-stock-alerts"),
    ("POST", "admin-return-approve"),
    ("POST", "admin-shipment-delivered"),
}
WITH_BODY = [operation for operation in WRITES if operation not in WITHOUT_BODY]

# What the document does not have, but models, other shops or other frameworks do.
TEMPTING = frozenset(
    {
        *("is_superuser", "is_staff", "is_active", "role", "roles", "groups", "permissions"),
        *("user_permissions", "password", "last_login", "user", "user_id", "owner", "customer"),
        *("customer_id", "id", "pk", "uuid", "number", "version", "created_at", "updated_at"),
        *("price", "unit_price", "total", "line_total", "subtotal", "discount", "currency"),
        *("status", "payment_status", "fulfilment_status", "paid_at", "placed_at", "expires_at"),
        *("confirmed_at", "cancelled_at", "captured_amount", "refunded_amount", "on_hand"),
        *("reserved", "available", "quantity_shipped", "actor", "actor_id", "ip", "request_id"),
        *("__proto__", "constructor", "_state", "order", "order_id", "payment_id", "attempts"),
    }
)


def _prepared(operation: tuple[str, str], shop: Shop) -> tuple[Request, Schema]:
    request = EXPECTED[operation].request(shop)
    schema = body_schema(*operation, request)
    assert schema is not None
    return request, schema


def _send(operation: tuple[str, str], shop: Shop, request: Request, value: Any) -> Any:
    caller = "anonymous" if operation[1].startswith("token") else "boss"
    return request.send(shop.client(caller), *operation, body=encoded(value))


def _problem(answer: Any) -> Any:
    """The problem that answers the body; of the only member of a bulk with pointers into it."""
    document = answer.json()
    if answer.status_code != 207:
        return {"status": answer.status_code, **document}
    [result] = document["results"]
    problem = result.get("problem", {"errors": []})
    *_, name, _ = answer.request["PATH_INFO"].split("/")
    moved = [{**e, "pointer": f"/{name}/0{e['pointer']}"} for e in problem.get("errors", [])]
    return {**problem, "status": result["status"], "errors": moved}


EMPTY_LISTS = {("roles",), ("permissions",)}
"""Lists that are whole without anything: somebody may have no role."""


@pytest.mark.parametrize("operation", WRITES, ids=" ".join)
def test_every_write_describes_its_body(operation: tuple[str, str], shop: Shop) -> None:
    request = EXPECTED[operation].request(shop)
    described = operation_of(*operation, request)

    assert described is not None
    assert ("requestBody" in described) is (operation not in WITHOUT_BODY)


@pytest.mark.parametrize("operation", WITH_BODY, ids=" ".join)
def test_no_member_is_taken_that_the_contract_does_not_have(
    operation: tuple[str, str], shop: Shop
) -> None:
    request, body = _prepared(operation, shop)
    before = database_digest()
    for place, schema in places(body):
        # Objects without properties take names of the client's own choice.
        if schema["type"] != "object" or "properties" not in schema:
            continue
        unknown = sorted((member_names() | TEMPTING) - schema["properties"].keys())
        known = _given(request.body, place)
        together = {**known, **dict.fromkeys(unknown, True)}
        answer = _send(operation, shop, request, with_value(request.body, place, together))
        problem = _problem(answer)
        assert problem["status"] == 400, answer.content
        named = {e["pointer"] for e in problem["errors"] if e["code"] == "unknown_field"}
        assert named == {pointer_of((*place, name)) for name in unknown}
    assert database_digest() == before
    # Without them the same body does it.
    with undone():
        answer = _send(operation, shop, request, request.body)
        assert answer.status_code == EXPECTED[operation].status, answer.content
        assert database_digest() != before


@pytest.mark.parametrize("operation", WITH_BODY, ids=" ".join)
def test_no_place_takes_a_wrong_value(operation: tuple[str, str], shop: Shop) -> None:
    request, body = _prepared(operation, shop)
    before = database_digest()
    for place, schema in places(body):
        for value in wrong_values(schema):
            if value == [] and place in EMPTY_LISTS:
                continue
            answer = _send(operation, shop, request, with_value(request.body, place, value))
            problem = _problem(answer)
            assert problem["status"] == 400, (place, value, answer.content)
            if problem["code"] != "malformed_json":
                at = pointer_of(place)
                pointers = [error["pointer"] for error in problem["errors"]]
                assert any(pointer.startswith(at) for pointer in pointers), (value, pointers)
    assert database_digest() == before


def _given(body: Any, place: Place) -> dict[str, Any]:
    """The members that the body has at that place."""
    for step in place:
        if isinstance(body, dict) and step not in body:
            return {}
        body = body[step]
    return dict(body)


@pytest.mark.parametrize("name", ["is_staff", "is_active"])
def test_customers_do_not_set_of_themselves_what_staff_may(name: str, shop: Shop) -> None:
    client, before = shop.client("owner"), database_digest()

    for path in ("/api/v1/users/me", f"/api/v1/users/{shop.owner.id}"):
        for value in (True, False):
            answer = client.patch(path, {"full_name": "X", name: value})
            assert answer.status_code == 400, answer.content
            answer = client.put(path, {"full_name": "X", "phone": "", name: value})
            assert answer.status_code == 400, answer.content
    # Not with any other permission either.
    shop.clerk.user_permissions.set(permission_rows(set(Permission) - {Permission.STAFF_MANAGE}))
    before = database_digest()
    for user in (shop.clerk, shop.boss, shop.stranger):
        change = {"is_staff": not user.is_staff}
        answer = shop.client("clerk").patch(f"/api/v1/users/{user.id}", change)
        assert answer.status_code == 403, answer.content

    assert database_digest() == before


def test_without_the_strict_serializers_unknown_members_would_be_taken(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = ("PATCH", "order")
    request = EXPECTED[operation].request(shop)
    body = {**request.body, "status": "shipped"}
    assert _send(operation, shop, request, body).status_code == 400

    lenient = serializers.Serializer.to_internal_value
    monkeypatch.setattr(InputSerializer, "to_internal_value", lenient)

    assert _send(operation, shop, request, body).status_code == 200
