from __future__ import annotations

import logging
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from rest_framework.test import APIClient

pytestmark = pytest.mark.django_db


def problem(response: Any) -> dict[str, Any]:
    """The document of `response`, which must be a problem of that very request."""
    assert response["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["status"] == response.status_code
    assert document["type"] == f"/api/docs/problems#{document['code']}"
    assert document["request_id"] == response["X-Request-ID"]
    assert document["title"]
    assert document["detail"]
    return document


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("invalid", 400, "invalid"),
        ("not_authenticated", 401, "not_authenticated"),
        ("drf", 401, "not_authenticated"),
        ("forbidden", 403, "permission_denied"),
        ("denied", 403, "permission_denied"),
        ("not_found", 404, "not_found"),
        ("http404", 404, "not_found"),
        ("conflict", 409, "shortage"),
        ("stale", 412, "precondition_failed"),
        ("unprocessable", 422, "unprocessable"),
        ("suspicious", 400, "bad_request"),
        ("unavailable", 503, "unavailable"),
        ("busy", 503, "busy"),
        ("deadlock", 503, "busy"),
        ("lost", 503, "unavailable"),
        ("deadline", 504, "deadline_exceeded"),
        ("cancelled", 504, "deadline_exceeded"),
        ("integrity", 500, "internal_error"),
        ("bug", 500, "internal_error"),
    ],
)
def test_every_error_becomes_its_problem(
    client: APIClient, name: str, status: int, code: str
) -> None:
    response = client.get(f"/api/v1/errors/{name}")

    document = problem(response)
    assert (response.status_code, document["code"]) == (status, code)
    assert document["instance"] == f"/api/v1/errors/{name}"
    assert ("Retry-After" in response) == (status == 503)
    assert ("WWW-Authenticate" in response) == (status == 401)


def test_a_refusal_shows_its_data_but_cannot_replace_standard_members(client: APIClient) -> None:
    document = problem(client.get("/api/v1/errors/conflict"))

    assert document["sku"] == "A-1"
    assert document["shortages"] == [{"n": 1}]
    assert document["status"] == 409
    assert document["detail"] == "Short of 3."
    assert document["title"] == "Shortage"


def test_a_bug_is_logged_and_its_message_kept_from_the_client(
    client: APIClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        response = client.get("/api/v1/errors/bug")

    assert "secret detail" not in response.content.decode()
    assert "request_failed" in caplog.text


@pytest.mark.parametrize("debug", [False, True])
def test_an_unknown_address_under_the_api_is_a_problem_with_and_without_debug(
    client: APIClient, settings: Any, debug: bool
) -> None:
    settings.DEBUG = debug

    assert problem(client.get("/api/nothing"))["code"] == "not_found"
    assert problem(client.get("/api/v1/errors/bug"))["code"] == "internal_error"


def test_a_wrong_method_is_405_with_allow_without_authentication(client: APIClient) -> None:
    response = client.delete("/api/v1/staff")

    assert problem(response)["code"] == "method_not_allowed"
    assert response["Allow"] == "GET, POST, HEAD"


def test_methods_that_http_does_not_know_are_405(client: APIClient) -> None:
    assert problem(client.generic("BREW", "/api/v1/staff"))["code"] == "method_not_allowed"
    assert client.options("/api/v1/staff").status_code == 405


def test_an_unacceptable_media_type_is_406(client: APIClient) -> None:
    response = client.get("/api/v1/things", headers={"accept": "text/html"})

    assert problem(response)["code"] == "not_acceptable"


@pytest.mark.parametrize("content_type", ["application/xml", "application/x-www-form-urlencoded"])
def test_a_body_that_is_no_json_is_415(client: APIClient, content_type: str) -> None:
    response = client.post("/api/v1/echo", data="a=1", content_type=content_type)

    assert problem(response)["code"] == "unsupported_media_type"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "malformed_json"),
        (b'{"quantity": NaN}', "malformed_json"),
        (b'{"quantity": Infinity}', "malformed_json"),
        (b'{"name": "\\ud800"}', "malformed_json"),
        (b'{"name": "\xff"}', "malformed_json"),
        (b'{"name": "a\\u0000"}', "forbidden_character"),
        (b'{"items": [{"\\u0000": 1}]}', "forbidden_character"),
        (b'{"quantity": 1, "quantity": 2}', "repeated_member"),
        (b'{"items": [{"quantity": 1, "quant\\u0069ty": 1}]}', "repeated_member"),
        (b'{"name": "\\\\", "name": "\\""}', "repeated_member"),
        (b"[" * 33 + b"]" * 33, "too_deep"),
        (b"[" * 30_000, "too_deep"),
        (b'{"quantity": ' + b"9" * 500 + b"}", "invalid"),
        (b'{"quantity": ' + b"9" * 60_000 + b"}", "malformed_json"),
        (b"[]", "invalid"),
        (b"null", "invalid"),
        (b'"text"', "invalid"),
    ],
)
def test_json_that_must_not_pass_is_400(client: APIClient, body: bytes, code: str) -> None:
    response = client.post("/api/v1/echo", data=body, content_type="application/json")

    assert problem(response)["code"] == code


def test_a_null_character_is_named_by_its_pointer(client: APIClient) -> None:
    response = client.post("/api/v1/echo", {"items": [{"quantity": 1}, {"x/y": "\x00"}]})

    assert problem(response)["errors"][0]["pointer"] == "/items/1/x~1y"


@pytest.mark.parametrize("path", ["/api/v1/text/a%00b", "/api/v1/things?search=%00"])
def test_a_null_character_in_an_address_is_400(client: APIClient, path: str) -> None:
    assert problem(client.get(path))["code"] == "forbidden_character"


def test_invalid_utf8_in_an_address_is_no_500(client: APIClient) -> None:
    assert client.get("/api/v1/text/%ff").status_code in (200, 400, 404)


@pytest.mark.parametrize("text", ["%ff", "%ed%a0%80", "a%c3"])
def test_a_query_that_is_not_utf8_is_400(client: APIClient, text: str) -> None:
    assert problem(client.get(f"/api/v1/things?search={text}"))["code"] == "bad_request"


def test_the_api_without_its_slash_answers_a_problem_too(client: APIClient) -> None:
    assert problem(client.get("/api"))["code"] == "not_found"


def test_quotes_and_backslashes_in_texts_are_no_repeated_members(client: APIClient) -> None:
    note = 'a "quoted" \\ text \\"'

    assert client.post("/api/v1/echo", {"note": note}).json() == {"note": repr(note)}


def test_an_id_that_is_no_uuid_is_404(client: APIClient) -> None:
    assert problem(client.get("/api/v1/things/7"))["code"] == "not_found"


def test_bodies_past_their_limit_are_413(client: APIClient) -> None:
    large = b" " * (64 * 1024) + b"{}"
    huge = b" " * (2 * 1024 * 1024) + b"{}"

    refused = client.post("/api/v1/echo", data=large, content_type="application/json")
    bulk = client.post("/api/v1/orders/bulk", data=large, content_type="application/json")
    too_much = client.post("/api/v1/orders/bulk", data=huge, content_type="application/json")

    assert problem(refused)["code"] == "body_too_large"
    assert bulk.status_code == 200
    assert problem(too_much)["code"] == "body_too_large"


def test_bodies_of_pages_have_a_limit_too(client: APIClient) -> None:
    huge = b" " * (2 * 1024 * 1024 + 1)

    response = client.post("/nothing", data=huge, content_type="multipart/form-data; boundary=x")

    assert response.status_code == 413
    assert response["Content-Type"] == "text/plain"
    assert client.post("/nothing", data=huge[1:], content_type="text/plain").status_code == 404


def test_a_body_of_unknown_length_is_411(client: APIClient) -> None:
    response = client.generic(
        "POST", "/api/v1/effects", headers={"transfer-encoding": "chunked"}, CONTENT_LENGTH=""
    )

    assert problem(response)["code"] == "length_required"


def test_a_host_that_is_not_ours_is_a_problem_too(client: APIClient) -> None:
    response = client.get("/api/v1/things", headers={"host": "evil.example"})

    assert response.status_code == 400
    assert problem(response)["code"] == "bad_request"


def test_pages_outside_the_api_stay_pages(client: APIClient) -> None:
    assert client.get("/nothing")["Content-Type"].startswith("text/html")


def test_bad_credentials_are_401_even_on_a_public_route(client: APIClient) -> None:
    response = client.get("/api/v1/things", headers={"authorization": "Bearer nonsense"})

    problem(response)
    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_staff_routes_are_401_without_authentication_403_for_customers_and_open_to_staff(
    client: APIClient, customer: Any, staff: Any
) -> None:
    nobody = client.get("/api/v1/staff")
    client.force_authenticate(customer)
    by_customer = client.get("/api/v1/staff")
    client.force_authenticate(staff)
    by_staff = client.get("/api/v1/staff")

    assert problem(nobody)["code"] == "not_authenticated"
    assert nobody["WWW-Authenticate"].startswith("Bearer")
    assert problem(by_customer)["code"] == "permission_denied"
    assert by_staff.status_code == 200


def test_the_actor_is_who_sent_the_request(client: APIClient, customer: Any) -> None:
    assert client.get("/api/v1/effects").json()["kind"] == "anonymous"

    client.force_authenticate(customer)

    assert client.get("/api/v1/effects").json() == {
        "kind": "customer",
        "label": "carla@example.com",
        "ip": "127.0.0.1",
        "id": str(customer.pk),
    }
    assert get_user_model().objects.count() == 1


def test_every_type_has_its_anchor_on_the_page_of_types(client: APIClient) -> None:
    page = client.get("/api/docs/problems").content.decode()

    for code in ("out_of_reach", "nonsense"):
        assert f'id="{code}"' not in page
    for code in ("shortage", "not_found", "idempotency_key_reused", "rate_limited"):
        assert f'id="{code}"' in page
