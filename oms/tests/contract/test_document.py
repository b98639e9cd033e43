"""The OpenAPI document is made once, in each format, and has an ETag."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from unittest.mock import patch

import pytest
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from oms.http import schema

JSON = "application/vnd.oai.openapi+json"


@pytest.fixture(autouse=True)
def new_process() -> None:
    schema._document.cache_clear()


def test_requests_at_once_make_it_once() -> None:
    with (
        patch.object(SchemaGenerator, "get_schema", autospec=True, return_value={"a": 1}) as made,
        ThreadPoolExecutor(8) as pool,
    ):
        answers = list(pool.map(lambda _: Client().get("/api/schema"), range(60)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer["ETag"] for answer in answers}) == 1
    assert made.call_count == 1


def test_a_client_that_has_it_gets_304(client: Client) -> None:
    first = client.get("/api/schema", headers={"accept": JSON})
    again = client.get("/api/schema", headers={"accept": JSON, "if-none-match": first["ETag"]})
    other = client.get("/api/schema", headers={"accept": JSON, "if-none-match": '"other"'})

    assert (first.status_code, again.status_code, other.status_code) == (200, 304, 200)
    assert again.content == b""
    assert again["ETag"] == first["ETag"]
    assert "no-cache" in first["Cache-Control"]


@pytest.mark.parametrize(
    ("accept", "media_type", "begin"),
    [
        ("*/*", "application/vnd.oai.openapi; charset=utf-8", b"openapi: 3.1.0"),
        ("application/json", "application/json", b"{"),
        (JSON, JSON, b"{"),
        (f"{JSON};q=0.1, application/yaml", "application/yaml; charset=utf-8", b"openapi: 3.1.0"),
    ],
)
def test_accept_decides_about_its_format(
    client: Client, accept: str, media_type: str, begin: bytes
) -> None:
    answer = client.get("/api/schema", headers={"accept": accept})

    assert answer.status_code == 200
    assert answer["Content-Type"] == media_type
    assert answer.content.startswith(begin)
    assert "Accept" in answer["Vary"]


def test_formats_have_tags_of_their_own(client: Client) -> None:
    tags = {client.get("/api/schema", headers={"accept": a})["ETag"] for a in (JSON, "*/*")}

    assert len(tags) == 2


def test_what_is_not_understood_is_refused(client: Client) -> None:
    unknown = client.get("/api/schema?format=json")
    language = client.get("/api/schema?lang=de")
    page = client.get("/api/schema", headers={"accept": "text/html"})

    assert (unknown.status_code, language.status_code, page.status_code) == (400, 400, 406)
    assert unknown.json()["code"] == "invalid_query"
