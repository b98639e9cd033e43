from __future__ import annotations

import time
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from rest_framework.test import APIClient

pytestmark = pytest.mark.django_db(transaction=True)


def act(client: APIClient, milliseconds: str, **body: Any) -> Any:
    headers = {"x-request-timeout-ms": milliseconds}
    return client.post("/api/v1/effects", {"name": "x", **body}, headers=headers)


def effects() -> int:
    return get_user_model().objects.count()


def test_work_past_the_deadline_is_cancelled_in_the_database_and_undone(
    client: APIClient,
) -> None:
    begun = time.monotonic()
    response = act(client, "300", seconds=5)
    seconds = time.monotonic() - begun

    assert response.status_code == 504
    assert response.json()["code"] == "deadline_exceeded"
    assert seconds < 1.5
    assert effects() == 0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND state = 'active'"
            " AND query LIKE '%%pg_sleep%%' AND pid <> pg_backend_pid()"
        )
        assert cursor.fetchone() == (0,)


def test_work_that_is_late_outside_the_database_is_undone_too(client: APIClient) -> None:
    response = client.post("/api/v1/sleep", {}, headers={"x-request-timeout-ms": "100"})

    assert response.status_code == 504
    assert effects() == 0


def test_work_within_the_deadline_is_done(client: APIClient) -> None:
    response = act(client, "30000")

    assert response.status_code == 201
    assert effects() == 1


def test_the_deadline_does_not_outlive_its_request(client: APIClient) -> None:
    act(client, "300", seconds=5)

    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("5s",)
    assert client.post("/api/v1/effects", {"name": "x", "seconds": 1}).status_code == 201


def test_a_late_call_with_a_key_stores_nothing_and_can_be_tried_again(client: APIClient) -> None:
    headers = {"idempotency-key": "k"}

    late = client.post(
        "/api/v1/effects",
        {"name": "x", "seconds": 1},
        headers={**headers, "x-request-timeout-ms": "300"},
    )
    again = client.post("/api/v1/effects", {"name": "x", "seconds": 1}, headers=headers)

    assert (late.status_code, again.status_code) == (504, 201)
    assert effects() == 1


@pytest.mark.parametrize("text", ["0", "-1", "30001", "1.5", "abc", "", "١٢", "9" * 50])
def test_a_deadline_that_is_none_is_400(client: APIClient, text: str) -> None:
    response = client.post("/api/v1/effects", {"name": "x"}, HTTP_X_REQUEST_TIMEOUT_MS=text)

    assert response.status_code == 400
    assert response.json()["errors"][0]["header"] == "X-Request-Timeout-Ms"
    assert effects() == 0
