"""Merge patches (RFC 7396) of orders."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rest_framework.test import APIClient

from oms.events.models import Event
from oms.testing.factories import api_client, make_customer, make_product, make_staff
from oms.testing.ordering import ADDRESS
from orders.models import Order
from orders.tests.test_api_placing import body

pytestmark = pytest.mark.django_db

URL = "/api/v1/orders"
MERGE_PATCH = "application/merge-patch+json"


@pytest.fixture
def order(client: APIClient) -> Any:
    response = client.post(
        URL,
        body(
            (make_product(), 2),
            reference="PO-1",
            metadata={"channel": "web", "desk": "4"},
            billing_address={**ADDRESS, "name": "Ada GmbH", "line2": "2nd floor"},
            note="Ring twice",
            language="de",
        ),
    )
    assert response.status_code == 201, response.content
    return response.json()


def patch(client: APIClient, order: Any, /, **members: Any) -> Any:
    path = f"{URL}/{order['id']}"
    return client.generic("PATCH", path, json.dumps(members), content_type=MERGE_PATCH)


def test_metadata_are_merged_and_those_that_are_null_removed(client: APIClient, order: Any) -> None:
    response = patch(client, order, metadata={"channel": None, "campaign": "may"})

    assert response.status_code == 200, response.content
    assert response.json()["metadata"] == {"desk": "4", "campaign": "may"}
    assert response.json()["note"] == "Ring twice"
    replaced = client.patch(f"{URL}/{order['id']}", {"metadata": {"a": "b"}})
    assert replaced.json()["metadata"] == {"a": "b"}


def test_addresses_are_merged(client: APIClient, order: Any) -> None:
    changed = patch(
        client,
        order,
        shipping_address={"line1": "Torstraße 1"},
        billing_address={"line2": None, "city": "Potsdam"},
    ).json()

    assert changed["shipping_address"] == {**ADDRESS, "line1": "Torstraße 1"}
    assert changed["billing_address"] == {**ADDRESS, "name": "Ada GmbH", "city": "Potsdam"}


def test_null_resets_what_is_optional(client: APIClient, order: Any) -> None:
    optional = ("reference", "metadata", "billing_address", "note", "language")

    changed = patch(client, order, **dict.fromkeys(optional)).json()

    assert {name: changed[name] for name in optional} == {
        "reference": None,
        "metadata": {},
        "billing_address": None,
        "note": "",
        "language": "",
    }
    # What is not there can be merged with nothing but a whole one.
    partly = patch(client, order, billing_address={"city": "Potsdam"})
    assert partly.status_code == 400
    pointers = {error["pointer"] for error in partly.json()["errors"]}
    assert pointers == {
        f"/billing_address/{n}" for n in ("name", "line1", "postal_code", "country")
    }
    whole = patch(client, order, billing_address=ADDRESS)
    assert whole.json()["billing_address"] == ADDRESS


@pytest.mark.parametrize(
    ("members", "pointer", "code"),
    [
        ({"items": None}, "/items", "null"),
        ({"shipping_address": None}, "/shipping_address", "null"),
        ({"shipping_address": {"city": None}}, "/shipping_address/city", "null"),
        ({"metadata": {"a": 1}}, "/metadata/a", "invalid"),
        ({"metadata": {f"{n}": "" for n in range(19)}}, "/metadata", "max_members"),
        ({"unknown": None}, "/unknown", "unknown_field"),
    ],
)
def test_a_patch_that_is_wrong_names_its_member_and_changes_nothing(
    client: APIClient, order: Any, members: dict[str, Any], pointer: str, code: str
) -> None:
    before = Order.objects.filter(pk=order["id"]).values().get()

    response = patch(client, order, **members)

    assert response.status_code == 400, response.content
    [error] = response.json()["errors"]
    assert (error["pointer"], error["code"]) == (pointer, code)
    assert Order.objects.filter(pk=order["id"]).values().get() == before


def test_a_stale_patch_is_refused_and_that_of_a_stranger_not_found(
    client: APIClient, order: Any
) -> None:
    note = {"note": "Later"}
    stale = client.generic(
        "PATCH",
        f"{URL}/{order['id']}",
        json.dumps(note),
        content_type=MERGE_PATCH,
        HTTP_IF_MATCH='"v7"',
    )

    assert stale.status_code == 412
    assert patch(api_client(make_customer()), order, **note).status_code == 404
    assert (
        patch(api_client(make_staff(permissions=["orders.view"])), order, **note).json()[
            "permission"
        ]
        == "orders.edit"
    )
    assert Event.objects.filter(object_id=order["id"], type="order.edited").count() == 0


def test_other_calls_take_no_merge_patch(client: APIClient, order: Any) -> None:
    placing = client.generic("POST", URL, "{}", content_type=MERGE_PATCH)
    profile = client.generic("PATCH", "/api/v1/users/me", "{}", content_type=MERGE_PATCH)

    assert (placing.status_code, profile.status_code) == (415, 415)
