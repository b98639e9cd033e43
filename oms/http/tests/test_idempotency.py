from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import psycopg
import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError, connections, transaction
from django.db.models import F
from rest_framework.test import APIClient

from oms.http.models import IdempotencyRecord
from oms.http.operations import idempotency
from oms.http.tests import views

pytestmark = pytest.mark.django_db

KEY = {"idempotency-key": "key-1"}


def effects(name: str = "x") -> int:
    return get_user_model().objects.filter(full_name=name).count()


def act(client: APIClient, key: str | None = "key-1", **body: Any) -> Any:
    headers = {} if key is None else {"idempotency-key": key}
    return client.post("/api/v1/effects", {"name": "x", **body}, headers=headers)


def test_a_repeated_call_has_one_effect_and_the_same_answer(client: APIClient) -> None:
    first, second = act(client), act(client)

    assert effects() == 1
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.content == first.content
    for header in ("ETag", "Location", "Content-Type"):
        assert second[header] == first[header]
    assert "Idempotent-Replayed" not in first
    assert second["Idempotent-Replayed"] == "true"
    assert second["X-Request-ID"] != first["X-Request-ID"]


def test_without_a_key_each_call_has_its_effect(client: APIClient) -> None:
    act(client, None)
    act(client, None)

    assert effects() == 2
    assert IdempotencyRecord.objects.count() == 0


def test_an_empty_answer_is_repeated_too(client: APIClient) -> None:
    first = client.delete("/api/v1/effects", headers=KEY)
    second = client.delete("/api/v1/effects", headers=KEY)

    assert (first.status_code, second.status_code) == (204, 204)
    assert second["Idempotent-Replayed"] == "true"
    assert "Content-Type" not in second
    assert effects("deleted") == 1


def post_raw(client: APIClient, body: str) -> Any:
    return client.post(
        "/api/v1/effects", body, content_type="application/json", headers={"idempotency-key": "k"}
    )


@pytest.mark.parametrize(
    "body",
    [
        '{"seconds":0,"name":"x"}',
        '{ "name" : "x",\n  "seconds": 0 }',
        '{"name": "\\u0078", "seconds": 0}',
    ],
)
def test_a_body_of_the_same_value_is_the_same_call(client: APIClient, body: str) -> None:
    first = post_raw(client, '{"name": "x", "seconds": 0}')
    second = post_raw(client, body)

    assert (first.status_code, second.status_code) == (201, 201)
    assert second["Idempotent-Replayed"] == "true"
    assert second.content == first.content
    assert effects() == 1


@pytest.mark.parametrize(
    "body",
    [
        '{"name": "x"}',
        '{"name": "X", "seconds": 0}',
        '{"name": "x", "seconds": "0"}',
        '{"name": "x", "name": "x", "seconds": 0}',
        '{"name": "x", "seconds": 0',
        "",
    ],
)
def test_a_body_of_another_value_is_another_call(client: APIClient, body: str) -> None:
    post_raw(client, '{"name": "x", "seconds": 0}')

    response = post_raw(client, body)

    assert response.status_code == 422
    assert effects() == 1


def test_keys_of_the_release_before_are_known(
    client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = '{"name": "x", "seconds": 0}'
    with monkeypatch.context() as before:
        before.setattr(idempotency, "_comparable", lambda body: b"\n" + body)
        first = post_raw(client, body)

    second = post_raw(client, body)

    assert second["Idempotent-Replayed"] == "true"
    assert second.content == first.content
    assert post_raw(client, '{"name": "y", "seconds": 0}').status_code == 422
    assert effects() == 1


def test_a_key_with_another_body_is_422(client: APIClient) -> None:
    act(client)

    response = act(client, seconds=0)

    assert response.status_code == 422
    assert response.json()["code"] == "idempotency_key_reused"
    assert effects() == 1


def test_keys_belong_to_user_method_path_query_and_address(
    client: APIClient, customer: Any, staff: Any
) -> None:
    act(client)
    client.force_authenticate(customer)
    act(client)
    client.force_authenticate(staff)
    act(client)
    client.post("/api/v1/users", {"name": "x"}, headers=KEY)
    client.delete("/api/v1/effects", headers=KEY)
    with_query = client.post("/api/v1/effects?a=b", {"name": "x"}, headers=KEY)
    client.force_authenticate(None)
    client.post("/api/v1/effects", {"name": "x"}, headers=KEY, REMOTE_ADDR="192.0.2.7")

    assert effects() == 5
    # Another call, whose parameter is unknown, and no repetition of the first one.
    assert with_query.json()["code"] == "invalid_query"
    assert effects("deleted") == 1


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422])
def test_a_refusal_is_undone_and_kept(client: APIClient, status: int) -> None:
    first = act(client, fail_with=status)
    second = act(client, fail_with=status)

    assert (first.status_code, second.status_code) == (status, status)
    assert second["Idempotent-Replayed"] == "true"
    assert effects() == 0


@pytest.mark.parametrize("status", [401, 412, 429, 500, 503])
def test_a_transient_failure_is_rolled_back_and_not_stored(client: APIClient, status: int) -> None:
    act(client, fail_with=status)
    second = act(client, fail_with=status)

    assert second.status_code == status
    assert "Idempotent-Replayed" not in second
    assert effects() == 0
    assert IdempotencyRecord.objects.count() == 0


def test_a_repeated_405_lists_the_allowed_methods_again(client: APIClient) -> None:
    first, second = (client.put("/api/v1/effects", {}, headers=KEY) for _ in range(2))

    assert second["Idempotent-Replayed"] == "true"
    assert (second.status_code, second["Allow"]) == (405, first["Allow"])


@pytest.mark.parametrize("key", ["", "a b", "a" * 256, "ä", "a\x7f"])
def test_a_key_that_is_none_is_400(client: APIClient, key: str) -> None:
    response = act(client, key)

    assert response.status_code == 400
    assert response.json()["errors"][0]["header"] == "Idempotency-Key"
    assert effects() == 0


def test_tokens_are_neither_stored_nor_kept_from_taking_effect(client: APIClient) -> None:
    for _ in range(2):
        client.post("/api/v1/auth/token", {"name": "x", "fail_with": 401}, headers=KEY)

    assert effects() == 2
    assert IdempotencyRecord.objects.count() == 0


def test_bad_credentials_are_401_and_store_nothing(client: APIClient) -> None:
    headers = {**KEY, "authorization": "Bearer nonsense"}

    response = client.post("/api/v1/effects", {"name": "x"}, headers=headers)

    assert response.status_code == 401
    assert IdempotencyRecord.objects.count() == 0


def test_a_key_is_free_again_after_its_lifetime(client: APIClient) -> None:
    act(client)
    IdempotencyRecord.objects.update(created_at=F("created_at") - timedelta(hours=24, seconds=1))

    again = act(client)
    replayed = act(client)

    assert "Idempotent-Replayed" not in again
    assert replayed.content == again.content
    assert effects() == 2


def test_secrets_of_the_request_are_not_stored(client: APIClient) -> None:
    act(client, "the-key", name="the-name")

    [record] = IdempotencyRecord.objects.values()
    assert "the-key" not in str(record)
    assert "the-name" not in str(record)


@pytest.mark.django_db(transaction=True)
def test_a_deadlock_runs_the_whole_call_again(
    client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = []

    def deadlock_twice(name: str) -> Any:
        attempts.append(name)
        thing = make(name)
        if len(attempts) < 3:
            error = OperationalError("deadlock detected")
            error.__cause__ = psycopg.errors.DeadlockDetected()
            raise error
        return thing

    make = views.make_effect
    monkeypatch.setattr(views, "make_effect", deadlock_twice)

    response = act(client)

    assert response.status_code == 201
    assert len(attempts) == 3
    assert effects() == 1
    assert act(client)["Idempotent-Replayed"] == "true"


@pytest.mark.django_db(transaction=True)
def test_a_success_in_a_doomed_transaction_is_a_500_and_has_no_effect(
    client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def doom(name: str) -> Any:
        thing = make(name)
        transaction.set_rollback(True)
        return thing

    make = views.make_effect
    monkeypatch.setattr(views, "make_effect", doom)

    response = act(client)

    assert response.status_code == 500
    assert effects() == 0
    assert IdempotencyRecord.objects.count() == 0


def call_in_parallel(calls: int, work: Callable[[int], Any]) -> list[Any]:
    """What `work` returns for each number, from 20 threads that begin together."""
    threads = 20
    start = Barrier(threads)

    def run(thread: int) -> list[Any]:
        start.wait()
        try:
            return [work(number) for number in range(thread, calls, threads)]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(threads) as pool:
        return [answer for answers in pool.map(run, range(threads)) for answer in answers]


@pytest.mark.django_db(transaction=True)
def test_a_hundred_parallel_calls_with_one_key_have_one_effect() -> None:
    answers = call_in_parallel(100, lambda _: act(APIClient(raise_request_exception=False)))

    assert effects() == 1
    done = [answer for answer in answers if answer.status_code == 201]
    busy = [answer for answer in answers if answer.status_code == 409]
    assert len(done) + len(busy) == 100
    assert len({answer.content for answer in done}) == 1
    assert sum("Idempotent-Replayed" not in answer for answer in done) == 1
    assert {answer.json()["code"] for answer in busy} <= {"idempotency_in_progress"}
    assert all(answer["Retry-After"] == "1" for answer in busy)


@pytest.mark.django_db(transaction=True)
def test_without_the_lock_of_the_key_parallel_calls_have_several_effects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(idempotency, "_LOCK_KEYS", "SELECT true FROM unnest(%s::bigint[])")

    call_in_parallel(20, lambda _: act(APIClient(raise_request_exception=False), seconds=1))

    assert effects() > 1


@pytest.mark.django_db(transaction=True)
def test_a_call_while_the_first_is_running_is_409_with_retry_after() -> None:
    def call(number: int) -> Any:
        return act(APIClient(raise_request_exception=False), seconds=1)

    answers = call_in_parallel(20, call)

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    assert effects() == 1
