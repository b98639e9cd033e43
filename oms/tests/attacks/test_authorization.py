"""Every operation called by everyone: who may not is refused as the contract says, without effect.

The same request succeeds for those who may, so each refusal is for the caller's sake.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from django.urls import reverse

from oms.api.permissions import IsStaff
from oms.core.actor import Actor
from oms.core.ids import new_id
from oms.fastpath.routes import routes
from oms.tests.attacks.access import EXPECTED, Access
from oms.tests.attacks.operations import HANDLED, METHODS, operations
from oms.tests.attacks.shop import CALLERS, Shop, database_digest, undone

pytestmark = pytest.mark.django_db

OPERATIONS = sorted(EXPECTED, key=lambda operation: operation[::-1])
ROUTES = sorted({route for _, route in EXPECTED})
HOT = frozenset((method, route.view_name) for (method, _), route in routes().items())
# Pages that are made for half a second.
DOCUMENTATION = frozenset({"schema", "docs", "redoc"})


def at_their_fronts(of: Iterable[tuple[str, str]]) -> Any:
    """Runs a test with each of the operations by Django, and the hot ones by the fast path too."""
    cases = [
        pytest.param(front, operation, id=" ".join([front, *operation]))
        for operation in of
        for front in ("django", "fast_path")
        if front == "django" or operation in HOT
    ]
    return pytest.mark.parametrize(("both_fronts", "operation"), cases, indirect=["both_fronts"])


def test_every_operation_of_the_urlconf_has_an_expectation() -> None:
    assert frozenset(EXPECTED) == operations()


def assert_problem(answer: Any, status: int) -> None:
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == status


@at_their_fronts(OPERATIONS)
def test_an_operation_is_refused_to_all_who_may_not(
    both_fronts: str, operation: tuple[str, str], shop: Shop
) -> None:
    method, route = operation
    expected = EXPECTED[operation]
    request = expected.request(shop)
    before, allowed = database_digest(), 0
    for caller in ("anonymous", "garbage") if route in DOCUMENTATION else CALLERS:
        status = expected.status_for(caller)
        if status == expected.status:
            allowed += 1
            with undone():
                answer = request.send(shop.client(caller), method, route)
                assert answer.status_code == status, (caller, answer.content)
                is_write = method != "GET"
                assert (database_digest() != before) is is_write, caller
            continue
        answer = request.send(shop.client(caller), method, route)
        assert_problem(answer, status)
        if status == 401:
            assert answer["WWW-Authenticate"].startswith("Bearer")
        # Refused before the body is looked at. Where nobody learns from it what is there, a body
        # that nobody could send is refused first.
        for body in ({"nonsense": [None]}, b"{", b"\xff") if method != "GET" else ():
            answer = request.send(shop.client(caller), method, route, body=body)
            if status == 404 and answer.status_code == 400:
                missing = {"kwargs": {"id": new_id()}, "body": body}
                answer = request.send(shop.client(caller), method, route, **missing)
                assert_problem(answer, 400)
            else:
                assert_problem(answer, status)
    assert allowed
    assert database_digest() == before


@pytest.mark.parametrize("route", ROUTES)
def test_other_methods_are_refused_to_all_alike(route: str, shop: Shop) -> None:
    [example, *_] = [EXPECTED[method, route] for method in HANDLED if (method, route) in EXPECTED]
    request = example.request(shop)
    before = database_digest()
    for method in METHODS:
        if (method, route) in EXPECTED or (method == "HEAD" and ("GET", route) in EXPECTED):
            continue
        for caller in ("anonymous", "owner", "boss", "garbage"):
            answer = request.send(shop.client(caller), method, route)
            if method == "OPTIONS" and answer.status_code == 204:
                assert not answer.content
            else:
                assert answer.status_code == 405, (method, caller, answer.content)
            assert answer["Allow"]
    assert database_digest() == before


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o[0] == "GET"], ids=" ".join)
def test_head_is_refused_as_get_is(operation: tuple[str, str], shop: Shop) -> None:
    _, route = operation
    expected = EXPECTED[operation]
    callers = ("anonymous", "garbage", "owner", "stranger", "clerk")
    for caller in callers[:2] if route in DOCUMENTATION else callers:
        answer = expected.request(shop).send(shop.client(caller), "HEAD", route)
        assert answer.status_code == expected.status_for(caller), caller


@at_their_fronts(
    o for o in OPERATIONS if EXPECTED[o].access in (Access.OWNER, Access.OWNER_OR_STAFF)
)
def test_what_belongs_to_others_and_what_is_not_there_are_answered_alike(
    both_fronts: str, operation: tuple[str, str], shop: Shop
) -> None:
    method, route = operation
    request = EXPECTED[operation].request(shop)
    client = shop.client("stranger")
    # Conditions do not reveal it either.
    for headers in ({}, {"If-None-Match": "*"}, {"If-Match": '"v1"'}, {"If-Match": '"v99"'}):
        others = request.send(client, method, route, headers=headers)
        missing = request.send(client, method, route, headers=headers, kwargs={"id": new_id()})
        assert others["Content-Type"] == "application/problem+json"
        if others.json()["code"] != "precondition_unsupported":
            assert_problem(others, 404)
        hidden = ("instance", "request_id")
        assert [
            {name: value for name, value in answer.json().items() if name not in hidden}
            for answer in (others, missing)
        ] == [{name: v for name, v in missing.json().items() if name not in hidden}] * 2
        assert {name.lower() for name in others.headers} == {n.lower() for n in missing.headers}


@pytest.mark.parametrize(
    "operation", [o for o in OPERATIONS if EXPECTED[o].access is Access.STAFF], ids=" ".join
)
def test_customers_learn_nothing_about_ids_on_staffs_paths(
    operation: tuple[str, str], shop: Shop
) -> None:
    method, route = operation
    request = EXPECTED[operation].request(shop)
    if "id" not in request.kwargs:
        return
    answer = request.send(shop.client("owner"), method, route, kwargs={"id": new_id()})
    assert_problem(answer, 403)
    answer = request.send(shop.client("boss"), method, route, kwargs={"id": new_id()})
    assert_problem(answer, 404)


@pytest.mark.usefixtures("both_fronts")
def test_lists_of_customers_have_nothing_of_others(shop: Shop) -> None:
    owner, stranger = shop.client("owner"), shop.client("stranger")

    mine = {row["id"] for row in owner.get(reverse("orders")).json()["results"]}
    theirs = {row["id"] for row in stranger.get(reverse("orders")).json()["results"]}
    assert {str(order.id) for order in (shop.order, shop.paid, shop.shipped)} == mine
    assert theirs
    assert mine.isdisjoint(theirs)

    page = owner.get(reverse("orders"), {"page_size": "1"}).json()["next"]
    answer = stranger.get(page)
    if answer.status_code == 200:
        assert {row["id"] for row in answer.json()["results"]} <= theirs

    # Not by a filter either: an unknown one is an error, a known one only narrows.
    answer = stranger.get(reverse("orders"), {"customer_id": str(shop.owner.id)})
    assert_problem(answer, 400)
    found = stranger.get(reverse("orders"), {"search": shop.order.number}).json()
    assert found.get("results") == [] or found.get("status") == 400
    query = {"order_id": str(shop.order.id)}
    assert stranger.get(reverse("notifications"), query).json()["results"] == []
    assert owner.get(reverse("notifications"), query).json()["results"]


@pytest.mark.usefixtures("both_fronts")
@pytest.mark.parametrize("caller", ["anonymous", "owner"])
def test_inactive_products_are_staffs_alone(caller: str, shop: Shop) -> None:
    path = reverse("product-detail", kwargs={"id": shop.hidden.id})
    stock = reverse("product-inventory", kwargs={"id": shop.hidden.id})
    client = shop.client(caller)

    assert_problem(client.get(path), 404)
    assert_problem(client.get(path, headers={"If-None-Match": "*"}), 404)
    assert_problem(client.get(stock), 404)
    listed = {row["id"] for row in client.get(reverse("product-list")).json()["results"]}
    assert str(shop.product.id) in listed
    assert str(shop.hidden.id) not in listed
    assert shop.client("clerk").get(path).status_code == 200


def test_what_belongs_to_another_order_is_refused_inside_of_a_body(shop: Shop) -> None:
    item = shop.order.items.get()
    path = reverse("admin-order-shipments", kwargs={"id": shop.paid.id})
    own = shop.paid.items.get()
    shipment: dict[str, Any] = {"carrier": "DHL", "tracking_number": "0034"}
    client, before = shop.client("clerk"), database_digest()

    for id in (item.id, new_id()):
        items = [{"order_item_id": str(id), "quantity": 1}]
        answer = client.post(path, {**shipment, "items": items})
        assert answer.status_code in (400, 409), answer.content

    assert database_digest() == before
    items = [{"order_item_id": str(own.id), "quantity": 1}]
    assert client.post(path, {**shipment, "items": items}).status_code == 201


@pytest.mark.usefixtures("both_fronts")
def test_an_idempotency_key_is_its_callers_alone(shop: Shop) -> None:
    request = EXPECTED["POST", "orders"].request(shop)
    key = {"Idempotency-Key": "k"}

    [mine, theirs, again] = [
        request.send(shop.client(caller), "POST", "orders", headers=key)
        for caller in ("owner", "stranger", "owner")
    ]

    assert [answer.status_code for answer in (mine, theirs, again)] == [201, 201, 201]
    assert mine.json()["customer_id"] != theirs.json()["customer_id"]
    assert again.json() == mine.json()
    refused = request.send(shop.client("revoked session"), "POST", "orders", headers=key)
    assert_problem(refused, 401)


def test_without_the_permissions_the_refusals_would_not_be(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = reverse("order", kwargs={"id": shop.order.id})
    calls = [("owner", reverse("admin-orders"), 403), ("stranger", order, 404)]
    for caller, path, status in calls:
        assert shop.client(caller).get(path).status_code == status

    monkeypatch.setattr(IsStaff, "has_permission", lambda *_: True)
    monkeypatch.setattr(Actor, "may", lambda *_: True)
    monkeypatch.setattr(Actor, "require_for", lambda *_: None)

    for caller, path, _ in calls:
        assert shop.client(caller).get(path).status_code == 200
