from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from django.urls import include, path
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from openapi_spec_validator import OpenAPIV31SpecValidator
from rest_framework.test import APIClient

from oms.http.tests import views
from oms.http.tests.urls import router


def document_of(*patterns: Any) -> dict[str, Any]:
    document: dict[str, Any] = SchemaGenerator(patterns=list(patterns)).get_schema(public=True)
    return document


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document of the tests' own resource and of the echo."""
    with GENERATOR_STATS.silence():
        GENERATOR_STATS.reset()
        made = document_of(
            path("api/v1/", include(router.urls)),
            path("api/v1/echo", views.EchoView.as_view()),
        )
        assert not GENERATOR_STATS._warn_cache
        assert not GENERATOR_STATS._error_cache
    return made


def names(parameters: list[dict[str, Any]]) -> set[str]:
    return {p["$ref"].rpartition("/")[2] if "$ref" in p else p["name"] for p in parameters}


def errors_of(operation: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    shared = document["components"]["responses"]
    return {
        status: shared[response["$ref"].rpartition("/")[2]] if "$ref" in response else response
        for status, response in operation["responses"].items()
        if status >= "400"
    }


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"] == "3.1.0"


def test_lists_document_their_filters_pages_and_orderings(document: dict[str, Any]) -> None:
    operation = document["paths"]["/api/v1/things"]["get"]

    assert names(operation["parameters"]) == {
        *views.ThingFilters.base_filters,
        "cursor",
        "page_size",
        "ordering",
        "X-Request-ID",
        "X-Request-Timeout-Ms",
    }
    by_name = {p["name"]: p for p in operation["parameters"] if "name" in p}
    assert by_name["status"]["schema"]["enum"] == ["a"]
    assert by_name["id__in"]["explode"] is False
    assert by_name["ordering"]["schema"]["default"] == "-id"
    assert "-full_name" in by_name["ordering"]["schema"]["enum"]
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
    page = document["components"]["schemas"][answer["$ref"].rpartition("/")[2]]
    assert set(page["properties"]) == {"next", "previous", "results"}


def test_a_versioned_resource_documents_its_conditional_headers(document: dict[str, Any]) -> None:
    thing = document["paths"]["/api/v1/things/{id}"]

    assert "If-None-Match" in names(thing["get"]["parameters"])
    assert "expand" in names(thing["get"]["parameters"])
    assert "304" in thing["get"]["responses"]
    assert "If-Match" in names(thing["patch"]["parameters"])
    assert "412" in thing["patch"]["responses"]
    assert "ETag" in thing["get"]["responses"]["200"]["headers"]
    id = next(p for p in thing["get"]["parameters"] if p.get("in") == "path")
    assert id["schema"]["format"] == "uuid"


def test_every_error_is_a_problem_with_an_example_of_each_code(document: dict[str, Any]) -> None:
    problem = document["components"]["schemas"]["Problem"]

    for operations in document["paths"].values():
        for operation in operations.values():
            errors = errors_of(operation, document)
            assert {"400", "401", "406", "429", "500", "503", "504"} <= set(errors)
            for status, response in errors.items():
                examples = response["content"]["application/problem+json"]["examples"]
                assert examples
                for code, example in examples.items():
                    jsonschema.validate(example["value"], problem)
                    assert example["value"]["code"] == code
                    assert example["value"]["status"] == int(status)


def test_a_write_documents_its_errors_and_its_idempotency_key(document: dict[str, Any]) -> None:
    operation = document["paths"]["/api/v1/echo"]["post"]

    assert "Idempotency-Key" in names(operation["parameters"])
    content = {
        status: response["content"]["application/problem+json"]["examples"]
        for status, response in errors_of(operation, document).items()
    }
    assert set(content["409"]) == {"shortage", "idempotency_in_progress"}
    assert set(content["422"]) == {"idempotency_key_reused"}
    assert {"411", "413", "415"} <= set(content)
    assert "malformed_json" in content["400"]


def test_input_takes_no_other_members(document: dict[str, Any]) -> None:
    body = document["components"]["schemas"]["EchoInputRequest"]

    assert body["additionalProperties"] is False
    assert body["properties"]["quantity"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 10_000,
    }
    assert body["properties"]["price"]["type"] == "string"
    assert body["properties"]["items"]["maxItems"] == 3


@pytest.mark.parametrize(
    ("name", "taken", "refused"),
    [
        ("name", ["a b", " ä"], ["", " ", "a\tb", "a\x7f", "\x85"]),
        ("note", ["", "a\n\tb"], ["a\x00", "a\x1b", "\x9f"]),
        (
            "price",
            ["0", "0.5", "9999999.99", "1.999"],
            ["-1.00", "10000000", "01", "1.9999", "1e3"],
        ),
    ],
)
def test_a_text_has_a_pattern_that_accepts_what_the_field_accepts(
    document: dict[str, Any], name: str, taken: list[str], refused: list[str]
) -> None:
    schema = document["components"]["schemas"]["EchoInputRequest"]["properties"][name]

    assert [
        text for text in taken if not jsonschema.Draft202012Validator(schema).is_valid(text)
    ] == []
    assert [
        text for text in refused if jsonschema.Draft202012Validator(schema).is_valid(text)
    ] == []


def test_entity_tags_have_a_pattern(document: dict[str, Any]) -> None:
    schema = document["components"]["parameters"]["If-Match"]["schema"]
    tags = jsonschema.Draft202012Validator(schema)

    assert all(map(tags.is_valid, ["*", '"v7"', '"v7", W/"a,b"']))
    assert not any(map(tags.is_valid, ["", "v7", '"v7', '"v7" "v8"']))


def test_an_undocumented_view_fails_the_check(capsys: pytest.CaptureFixture[str]) -> None:
    GENERATOR_STATS.reset()

    document_of(path("api/v1/staff", views.StaffView.as_view()))

    assert GENERATOR_STATS._warn_cache
    GENERATOR_STATS.reset()


@pytest.mark.django_db
def test_the_pages_of_the_document_need_no_other_server(client: APIClient) -> None:
    for url in ("/api/docs", "/api/redoc"):
        page = client.get(url)

        assert page.status_code == 200
        assert "https://" not in page.content.decode()
        assert "drf_spectacular_sidecar" in page.content.decode()
