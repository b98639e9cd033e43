"""The pages beside the API: the start page, and methods that they do not have."""

from __future__ import annotations

import pytest
from django.test import Client

PAGES = (
    "/",
    "/health",
    "/health/ready",
    "/metrics",
    "/api/schema",
    "/api/docs",
    "/api/docs/problems",
    "/api/redoc",
)
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize("path", PAGES)
def test_options_names_the_methods_that_can_read(path: str) -> None:
    response = Client().options(path)

    assert (response.status_code, response.content) == (204, b"")
    assert response["Allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "TRACE", "BREW"])
@pytest.mark.parametrize("path", PAGES)
def test_other_methods_are_problems(path: str, method: str) -> None:
    response = Client(enforce_csrf_checks=True).generic(method, path)

    assert response.status_code == 405
    assert response["Content-Type"] == "application/problem+json"
    assert {"GET", "HEAD", "OPTIONS"} <= set(response["Allow"].split(", "))
    assert response.json()["code"] == "method_not_allowed"


@pytest.mark.django_db
@pytest.mark.parametrize("path", PAGES)
def test_head_answers_like_get_without_a_body(path: str) -> None:
    response = Client().head(path)

    assert (response.status_code, response.content) == (200, b"")


def test_the_start_page_links_to_the_documentation_and_the_back_office() -> None:
    page = Client().get("/", headers={"accept": BROWSER})

    assert page["Content-Type"].startswith("text/html")
    assert "Accept" in page["Vary"].split(", ")
    for path in ("/api/docs", "/admin/"):
        assert f'href="{path}"' in page.content.decode()


@pytest.mark.parametrize("accept", ["application/json", "*/*", "image/png"])
def test_programs_get_the_same_as_json(accept: str) -> None:
    response = Client().get("/", headers={"accept": accept})

    assert response["Content-Type"] == "application/json"
    assert response.json()["documentation"] == "http://testserver/api/docs"
    assert response.json()["back_office"] == "http://testserver/admin/"
