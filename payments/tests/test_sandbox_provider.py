"""The provider's API at the wire."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from payments.tests.sandbox_process import API_KEY, SandboxProcess
from payments.tests.sandbox_wire import BODY, client_of, code, count, post


@pytest.fixture
def api(sandbox: SandboxProcess) -> Iterator[httpx.Client]:
    with client_of(sandbox) as client:
        yield client


def test_a_charge_shows_all_of_the_contract(api: httpx.Client) -> None:
    key = str(uuid4())

    response = post(api, "/v1/charges", BODY, key)

    charge = response.json()
    assert response.status_code == 201
    assert charge.pop("id").startswith("ch_")
    assert charge.pop("created_at").endswith("Z")
    assert charge == {
        "idempotency_key": key,
        "status": "captured",
        "amount": 1250,
        "currency": "EUR",
        "captured_amount": 1250,
        "refunded_amount": 0,
        "reference": "order-1",
        "metadata": {"basket": [1, 2]},
        "decline_code": None,
        "decline_message": None,
    }


def test_a_charge_is_found_by_its_id_and_by_its_key(api: httpx.Client) -> None:
    charge = post(api, "/v1/charges", BODY).json()

    assert api.get(f"/v1/charges/{charge['id']}").json() == charge
    found = api.get("/v1/charges", params={"idempotency_key": charge["idempotency_key"]})
    assert found.json() == {"data": [charge]}
    assert code(api.get("/v1/charges/ch_none")) == (404, "no_such_charge")


def test_the_same_key_and_body_is_replayed_and_another_body_is_422(
    api: httpx.Client, sandbox: SandboxProcess
) -> None:
    key = str(uuid4())
    first = post(api, "/v1/charges", BODY, key)
    before = count(sandbox, "charges")

    again = post(api, "/v1/charges", dict(reversed(BODY.items())), key)
    other = post(api, "/v1/charges", {**BODY, "reference": "order-2"}, key)

    assert again.status_code == 200
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    assert code(other) == (422, "idempotency_key_reused")
    assert count(sandbox, "charges") == before


def test_a_refund_key_with_another_amount_is_422(api: httpx.Client) -> None:
    charge, key = post(api, "/v1/charges", BODY).json(), str(uuid4())
    body = {"charge_id": charge["id"], "amount": 100, "reason": "damaged"}
    assert post(api, "/v1/refunds", body, key).status_code == 201

    assert post(api, "/v1/refunds", body, key).status_code == 200
    assert code(post(api, "/v1/refunds", {**body, "amount": 200}, key)) == (
        422,
        "idempotency_key_reused",
    )
    assert api.get(f"/v1/charges/{charge['id']}").json()["refunded_amount"] == 100


def test_a_capture_key_on_another_charge_is_422(api: httpx.Client) -> None:
    first, second = (
        post(api, "/v1/charges", {**BODY, "capture": False}).json()["id"] for _ in range(2)
    )
    key = str(uuid4())
    assert post(api, f"/v1/charges/{first}/capture", {}, key).status_code == 201

    refused = post(api, f"/v1/charges/{second}/capture", {}, key)

    assert code(refused) == (422, "idempotency_key_reused")
    assert api.get(f"/v1/charges/{second}").json()["status"] == "authorized"


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", f"Basic {API_KEY}", "Bearer é"])
def test_without_the_api_key_everything_but_health_is_401(
    sandbox: SandboxProcess, authorization: str
) -> None:
    headers = {b"Authorization": authorization.encode(), b"Idempotency-Key": b"k"}
    with httpx.Client(base_url=sandbox.url, headers=headers, trust_env=False) as stranger:
        assert code(stranger.get("/v1/ledger")) == (401, "unauthorized")
        assert code(stranger.post("/v1/charges", json=BODY)) == (401, "unauthorized")
        assert stranger.get("/health").json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"token": "tok_not_known"}, "unknown_token"),
        ({"token": None}, "invalid_token"),
        ({"amount": 12.5}, "invalid_amount"),
        ({"amount": 0}, "invalid_amount"),
        ({"amount": -100}, "invalid_amount"),
        ({"amount": 100.5}, "invalid_amount"),
        ({"amount": "12.50"}, "invalid_amount"),
        ({"amount": 10**18}, "invalid_amount"),
        ({"currency": "eur"}, "invalid_currency"),
        ({"capture": "yes"}, "invalid_capture"),
        ({"reference": "\x00"}, "invalid_reference"),
        ({"reference": "x" * 501}, "invalid_reference"),
        ({"metadata": []}, "invalid_metadata"),
    ],
)
def test_a_bad_member_is_400_and_names_it(
    api: httpx.Client, sandbox: SandboxProcess, changed: dict[str, Any], expected: str
) -> None:
    before = count(sandbox, "charges")

    assert code(post(api, "/v1/charges", {**BODY, **changed})) == (400, expected)

    assert count(sandbox, "charges") == before


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b'{"amount": NaN}', b"[" * 60_000])
def test_a_body_that_is_no_json_object_is_400(api: httpx.Client, content: bytes) -> None:
    response = api.post("/v1/charges", content=content, headers={"Idempotency-Key": "k"})

    assert code(response) == (400, "invalid_json")


def test_a_write_needs_a_key_and_a_look_up_too(api: httpx.Client) -> None:
    assert code(api.post("/v1/charges", json=BODY)) == (400, "idempotency_key_required")
    assert code(api.get("/v1/charges")) == (400, "idempotency_key_required")


def test_unsupported_requests_are_404_405_or_413(api: httpx.Client) -> None:
    key = {"Idempotency-Key": "too-large"}
    assert code(api.get("/v2")) == (404, "not_found")
    assert code(api.get("/v1/charges/x/void")) == (405, "method_not_allowed")
    assert code(api.delete("/v1/charges")) == (405, "method_not_allowed")
    for content in (b" " * 65_537, iter([b" " * 65_537])):
        response = api.post("/v1/charges", content=content, headers=key)
        assert code(response) == (413, "body_too_large")
    assert api.get("/health").status_code == 200


def test_a_chunked_body_is_read(api: httpx.Client) -> None:
    chunks = iter([b'{"amount": 100, "currency": "EUR", ', b'"token": "tok_success"}'])

    response = api.post("/v1/charges", content=chunks, headers={"Idempotency-Key": "chunked"})

    assert (response.status_code, response.json()["amount"]) == (201, 100)


def test_the_ledger_is_paginated(api: httpx.Client) -> None:
    made = [post(api, "/v1/charges", BODY).json() for _ in range(3)]

    seen, after = [], 0
    while after is not None:
        page = api.get("/v1/ledger", params={"limit": "2", "after": str(after)}).json()
        assert len(page["data"]) <= 2
        seen += page["data"]
        after = page["next"]

    assert [charge for charge in seen if charge in made] == made
    assert code(api.get("/v1/ledger", params={"limit": "all"})) == (400, "invalid_limit")
