from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def make_things(*names: str) -> list[str]:
    """Things with those names, a minute apart; returns their ids, the oldest first."""
    made = [
        get_user_model()(
            email=f"{n}@example.com", full_name=name, created_at=NOON + timedelta(minutes=n)
        )
        for n, name in enumerate(names)
    ]
    get_user_model().objects.bulk_create(made)
    return sorted(str(thing.pk) for thing in made)


def names(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [thing["full_name"] for thing in response.json()["results"]]


def walk(client: APIClient, url: str, link: str) -> list[dict[str, Any]]:
    pages = []
    next_url: str | None = url
    while next_url:
        pages.append(client.get(next_url).json())
        next_url = pages[-1][link]
        assert len(pages) < 50
    return pages


@pytest.mark.parametrize("ordering", ["", "full_name", "-full_name", "created_at", "-created_at"])
def test_pages_hold_everything_once_in_both_directions(client: APIClient, ordering: str) -> None:
    ids = make_things(*"aabbbccddddd")
    url = f"/api/v1/things?page_size=5&ordering={ordering}".removesuffix("&ordering=")

    forward = walk(client, url, "next")
    back = walk(client, forward[-2]["next"], "previous")

    seen = [[thing["id"] for thing in page["results"]] for page in forward]
    assert [len(page) for page in seen] == [5, 5, 2]
    assert sorted(id for page in seen for id in page) == ids
    assert [[thing["id"] for thing in page["results"]] for page in back] == seen[::-1]
    assert forward[0]["previous"] is None
    assert back[-1]["previous"] is None
    if not ordering:
        assert [id for page in seen for id in page] == ids[::-1]
    else:
        key = ordering.lstrip("-")
        rows = [(thing[key], thing["id"]) for page in forward for thing in page["results"]]
        assert rows == sorted(rows, reverse=ordering.startswith("-"))


def test_a_page_is_not_shifted_by_new_objects_before_it(client: APIClient) -> None:
    make_things(*"bcdefg")
    first = client.get("/api/v1/things?page_size=2&ordering=full_name")

    make_things_later = get_user_model().objects.create(email="x@example.com", full_name="a")
    second = client.get(first.json()["next"])

    assert names(second) == ["d", "e"]
    assert make_things_later.full_name == "a"


def test_no_page_counts_or_skips_rows(client: APIClient) -> None:
    make_things(*"abcdef")
    url = client.get("/api/v1/things?page_size=2").json()["next"]

    with CaptureQueriesContext(
        connection,
    ) as queries:
        client.get(url)

    [query] = [q["sql"] for q in queries if "SELECT" in q["sql"]]
    assert "OFFSET" not in query
    assert "COUNT" not in query


def test_links_keep_the_filters(client: APIClient) -> None:
    make_things("ant", "bee", "ant", "ant")

    pages = walk(client, "/api/v1/things?page_size=2&search=ANT", "next")

    assert [len(page["results"]) for page in pages] == [2, 1]


def test_page_size_is_50_by_default(client: APIClient) -> None:
    make_things(*(["a"] * 51))

    assert len(names(client.get("/api/v1/things"))) == 50
    assert len(names(client.get("/api/v1/things?page_size=200"))) == 51


@pytest.mark.parametrize(
    ("query", "parameter", "code"),
    [
        ("page_size=0", "page_size", "out_of_range"),
        ("page_size=201", "page_size", "out_of_range"),
        ("page_size=-1", "page_size", "out_of_range"),
        ("page_size=%D9%A5", "page_size", "out_of_range"),
        ("page_size=1_0", "page_size", "out_of_range"),
        ("page_size=" + "9" * 5000, "page_size", "out_of_range"),
        ("cursor=nonsense", "cursor", "invalid_cursor"),
        ("cursor=WzFd.abc", "cursor", "invalid_cursor"),
        ("ordering=password", "ordering", "invalid_choice"),
        ("ordering=--full_name", "ordering", "invalid_choice"),
        ("statsu=a", "statsu", "unknown_parameter"),
        ("expand=x", "expand", "unknown_parameter"),
        ("offset=5", "offset", "unknown_parameter"),
        ("status=", "status", "blank"),
        ("status=zzz", "status", "invalid_choice"),
        ("status=a&status=a", "status", "repeated_parameter"),
        ("id__in=a,c", "id__in", "invalid_choice"),
        ("id__in=a,", "id__in", "invalid_choice"),
        ("is_staff=1", "is_staff", "no_boolean"),
        ("owner=7", "owner", "no_uuid"),
        ("day=2026-02-30", "day", "no_date"),
        ("day=20260201", "day", "no_date"),
        ("created_at__gte=2026-11-21", "created_at__gte", "no_instant"),
        ("created_at__gte=2026-11-21T00:00:00", "created_at__gte", "no_instant"),
        ("search=" + "x" * 101, "search", "too_long"),
        ("search=a" + "+" * 99 + "b", "search", "too_long"),
        ("search=a%01", "search", "forbidden_character"),
    ],
)
def test_a_query_that_is_not_understood_is_400(
    client: APIClient, query: str, parameter: str, code: str
) -> None:
    response = client.get(f"/api/v1/things?{query}")

    assert response.status_code == 400, response.content
    assert response.json()["code"] == "invalid_query"
    [error] = response.json()["errors"]
    assert (error["parameter"], error["code"]) == (parameter, code)


def test_errors_in_filters_are_reported_in_their_order(client: APIClient) -> None:
    wrong = ["day", "owner", "is_staff", "status", "id__in", "created_at__lt"]

    response = client.get("/api/v1/things?" + "&".join(f"{name}=7" for name in wrong))

    assert [error["parameter"] for error in response.json()["errors"]] == wrong


def test_a_misspelt_parameter_is_answered_with_the_right_one(client: APIClient) -> None:
    response = client.get("/api/v1/things?statsu=a")

    assert "status" in response.json()["errors"][0]["detail"]


def test_a_cursor_of_one_ordering_is_refused_by_another(client: APIClient) -> None:
    make_things(*"abc")
    url = client.get("/api/v1/things?page_size=1&ordering=full_name").json()["next"]

    response = client.get(url.replace("ordering=full_name", "ordering=created_at"))

    assert response.status_code == 400


def test_a_cursor_is_refused_by_another_list_and_with_other_filters(client: APIClient) -> None:
    make_things(*"aaab")
    url = client.get("/api/v1/things?page_size=1&search=a").json()["next"]

    others = [
        url.replace("/things", "/other-things"),
        url.replace("search=a", "search=b"),
        url.replace("&search=a", ""),
        url + "&status=a",
    ]

    for other in others:
        response = client.get(other)
        assert response.status_code == 400, other
        [error] = response.json()["errors"]
        assert (error["parameter"], error["code"]) == ("cursor", "invalid_cursor")
    assert client.get(url.replace("page_size=1", "page_size=2")).status_code == 200


def test_unknown_parameters_are_400_on_details_and_writes_too(client: APIClient) -> None:
    id = "019aa2f4-7c1e-7d52-9b0a-3c5f6e8d1a27"

    assert client.get(f"/api/v1/things/{id}?expand=x").status_code == 200
    assert client.get(f"/api/v1/things/{id}?page_size=5").status_code == 400
    assert client.post("/api/v1/echo?dry_run=1", {}).status_code == 400


def test_filters_filter(client: APIClient) -> None:
    make_things("a", "b", "ann lee")

    def found(query: str) -> list[str]:
        return sorted(names(client.get(f"/api/v1/things?{query}")))

    assert found("status=a") == ["a"]
    assert found("id__in=a,b") == ["a", "b"]
    assert found("search=LEE+ann") == ["ann lee"]
    assert found("search=100%25") == []
    assert found("created_at__gte=2026-11-21T12:01:00Z") == ["ann lee", "b"]
    assert found("created_at__lt=2026-11-21T13:01:00%2B01:00") == ["a"]
    assert found("is_staff=true") == []
    assert len(found("is_staff=false")) == 3
    assert len(found("day=2026-11-21")) == 3
