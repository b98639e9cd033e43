from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from oms.core.timestamps import parse_instant

pytestmark = pytest.mark.django_db


def echo(client: APIClient, body: Any) -> Any:
    return client.post("/api/v1/echo", body)


def faults(response: Any) -> list[tuple[str, str]]:
    assert response.status_code == 400, response.content
    assert response.json()["code"] == "invalid"
    return sorted((error["pointer"], error["code"]) for error in response.json()["errors"])


@pytest.mark.parametrize(
    "value",
    ["1_000", "١٢", "5", True, 1.5, 10**19, -(10**19), 10**30, [], {}, "", " 5"],
)
def test_only_json_integers_are_integers(client: APIClient, value: Any) -> None:
    # 10**30 does not fit JSON parsers' integers, and comes as a float.
    assert faults(echo(client, {"quantity": value}))[0][0] == "/quantity"


def test_an_integer_may_be_written_with_a_point_as_json_schema_allows(client: APIClient) -> None:
    assert echo(client, {"quantity": 5.0}).json() == {"quantity": "5"}


@pytest.mark.parametrize(
    ("value", "code"),
    [(0, "min_value"), (10_001, "max_value"), (10_001.0, "max_value"), (1e300, "max_value")],
)
def test_integers_have_both_bounds(client: APIClient, value: int, code: str) -> None:
    assert faults(echo(client, {"quantity": value})) == [("/quantity", code)]


@pytest.mark.parametrize(
    "value",
    [
        9.99,
        10,
        "1e3",
        "NaN",
        "1.9999",
        "01.00",
        " 1",
        "1,00",
        "١.00",
        "",
        "+1",
        True,
        "-0",
        "-0.0",
        "-0.00",
    ],
)
def test_amounts_that_are_no_plain_decimal_strings_are_rejected(
    client: APIClient, value: Any
) -> None:
    assert faults(echo(client, {"price": value})) == [("/price", "invalid")]


@pytest.mark.parametrize(
    ("value", "code"),
    [("-0.01", "min_value"), ("10000000.00", "max_value")],
)
def test_amounts_have_both_bounds(client: APIClient, value: str, code: str) -> None:
    assert faults(echo(client, {"price": value})) == [("/price", code)]


@pytest.mark.parametrize(("value", "amount"), [("5", "5"), ("5.5", "5.5"), ("0.000", "0.000")])
def test_amounts_are_parsed_as_they_are(client: APIClient, value: str, amount: str) -> None:
    assert echo(client, {"price": value}).json() == {"price": f"Decimal('{amount}')"}


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"name": 5}, "/name", "invalid"),
        ({"name": "a\tb"}, "/name", "forbidden_character"),
        ({"name": "a\x7fb"}, "/name", "forbidden_character"),
        ({"name": "a" * 11}, "/name", "max_length"),
        ({"name": "  "}, "/name", "blank"),
        ({"name": None}, "/name", "null"),
        ({"note": "a\x1bb"}, "/note", "forbidden_character"),
        ({"flag": "yes"}, "/flag", "invalid"),
        ({"flag": 1}, "/flag", "invalid"),
        ({"country": "ZZ"}, "/country", "invalid_choice"),
        ({"country": "de"}, "/country", "invalid_choice"),
        ({"country": "DEU"}, "/country", "invalid_choice"),
        ({"at": "2026-11-21T09:30:00"}, "/at", "no_instant"),
        ({"at": "2026-11-21"}, "/at", "no_instant"),
        ({"at": 1}, "/at", "no_instant"),
        ({"at": "0001-01-01T00:00:00+14:00"}, "/at", "no_instant"),
        ({"id": 5}, "/id", "invalid"),
        ({"id": "urn:uuid:019aa2f4-7c1e-7d52-9b0a-3c5f6e8d1a27"}, "/id", "invalid"),
        ({"kind": "c"}, "/kind", "invalid_choice"),
        ({"kind": ["a"]}, "/kind", "invalid_choice"),
        ({"items": {}}, "/items", "not_a_list"),
        ({"items": [5]}, "/items/0", "invalid"),
        ({"items": [{"quantity": 1}, {"quantity": 0}]}, "/items/1/quantity", "min_value"),
        ({"items": [{}]}, "/items/0/quantity", "required"),
        ({"items": [{"quantity": 1}] * 4}, "/items", "max_length"),
        ({"is_staff": True}, "/is_staff", "unknown_field"),
        ({"items": [{"quantity": 1, "a/b": 2}]}, "/items/0/a~1b", "unknown_field"),
    ],
)
def test_errors_name_pointer_and_code(
    client: APIClient, body: Any, pointer: str, code: str
) -> None:
    assert faults(echo(client, body)) == [(pointer, code)]


def test_all_errors_are_reported_at_once(client: APIClient) -> None:
    body = {"quantity": "x", "colour": 1, "items": [{"quantity": 0}, {"weight": 1}]}

    assert faults(echo(client, body)) == [
        ("/colour", "unknown_field"),
        ("/items/0/quantity", "min_value"),
        ("/items/1/quantity", "required"),
        ("/items/1/weight", "unknown_field"),
        ("/quantity", "invalid"),
    ]


def test_valid_input_is_parsed(client: APIClient) -> None:
    response = echo(
        client,
        {"quantity": 10_000, "note": "a\nb", "flag": False, "country": "DE", "kind": "b"},
    )

    assert response.json() == {
        "quantity": "10000",
        "note": "'a\\nb'",
        "flag": "False",
        "country": "'DE'",
        "kind": "'b'",
    }


def test_timestamps_of_any_zone_are_converted_to_utc() -> None:
    moment = parse_instant("2026-11-21t01:30:00.25+02:00")

    assert moment.isoformat() == "2026-11-20T23:30:00.250000+00:00"


@pytest.mark.parametrize("tags", ["v7", "", ",", '"v6" "v7"', '"v7', '"v6", v7', 'w/"v7"'])
@pytest.mark.parametrize("header", ["If-None-Match", "If-Match"])
def test_a_conditional_header_without_tags_is_400(
    client: APIClient, header: str, tags: str
) -> None:
    path = "/api/v1/things/019aa2f4-7c1e-7d52-9b0a-3c5f6e8d1a27"
    method = client.get if header == "If-None-Match" else client.patch

    response = method(path, headers={header: tags})

    assert response.status_code == 400
    assert response.json()["errors"][0]["header"] == header


@pytest.mark.parametrize(
    ("tags", "status"),
    [
        ('"v7"', 304),
        ('W/"v7"', 304),
        ('"v6", "v7"', 304),
        ('"a,b",, W/"v7" ,', 304),
        ("*", 304),
        ('"v6"', 200),
        ('"v77"', 200),
    ],
)
def test_if_none_match_answers_304_for_a_current_etag(
    client: APIClient, tags: str, status: int
) -> None:
    path = "/api/v1/things/019aa2f4-7c1e-7d52-9b0a-3c5f6e8d1a27"

    response = client.get(path, headers={"if-none-match": tags})

    assert response.status_code == status
    assert response["ETag"] == '"v7"'
    assert bool(response.content) == (status == 200)


@pytest.mark.parametrize(
    ("tags", "status"),
    [
        ('"v7"', 200),
        ('"v7-staff"', 200),
        ('"v6", "v7"', 200),
        ("*", 200),
        ('"v6"', 412),
        ('W/"v7"', 412),
        ('"other"', 412),
    ],
)
def test_if_match_refuses_all_but_the_present_version(
    client: APIClient, tags: str, status: int
) -> None:
    path = "/api/v1/things/019aa2f4-7c1e-7d52-9b0a-3c5f6e8d1a27"

    response = client.patch(path, headers={"if-match": tags})

    assert response.status_code == status
