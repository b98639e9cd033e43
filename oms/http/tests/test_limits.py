from __future__ import annotations

import time
from typing import Any

import pytest
from django.core.cache import cache
from django.urls import resolve, reverse
from rest_framework.test import APIClient

from oms.core.ids import new_id

pytestmark = pytest.mark.django_db

UNREACHABLE = "redis://127.0.0.1:1/0"
# Neither accepts nor refuses connections: an address reserved for documentation.
SILENT = "redis://192.0.2.1:6379/0"


@pytest.fixture(autouse=True)
def limits(settings: Any) -> dict[str, str]:
    small = {
        # Fixed windows, too long to end within a test.
        "register_address": "3/day",
        "token_address": "5/day",
        "token_account": "2/day",
        "place_user": "2/minute",
        "general_user": "4/minute",
        "general_address": "3/minute",
    }
    settings.RATE_LIMITS = small
    return small


def log_in(client: APIClient, email: Any, address: str = "192.0.2.1") -> int:
    response = client.post("/api/v1/auth/token", {"email": email}, REMOTE_ADDR=address)
    return int(response.status_code)


def test_past_a_limit_the_answer_is_429_with_retry_after(client: APIClient) -> None:
    answers = [client.get("/api/v1/effects") for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[3]["Content-Type"] == "application/problem+json"
    assert answers[3].json()["code"] == "rate_limited"
    assert 1 <= int(answers[3]["Retry-After"]) <= 60


def test_every_response_reports_the_policy_and_the_remaining_requests(client: APIClient) -> None:
    answers = [client.get("/api/v1/effects") for _ in range(4)]

    policies = {answer["RateLimit-Policy"] for answer in answers}
    assert policies == {'"general_address";q=3;w=60'}
    left = [answer["RateLimit"].split(";")[1] for answer in answers]
    assert left == ["r=2", "r=1", "r=0", "r=0"]


def test_refusals_and_repeated_answers_count_too(client: APIClient, settings: Any) -> None:
    key = {"idempotency-key": "k"}

    assert client.get("/api/v1/nothing").status_code == 404
    client.post("/api/v1/echo", {}, headers=key)
    client.post("/api/v1/echo", {}, headers=key)

    assert client.get("/api/v1/effects").status_code == 429


def test_addresses_and_users_are_counted_apart(
    client: APIClient, customer: Any, staff: Any
) -> None:
    for _ in range(3):
        client.get("/api/v1/effects")

    assert client.get("/api/v1/effects").status_code == 429
    assert client.get("/api/v1/effects", REMOTE_ADDR="192.0.2.9").status_code == 200
    client.force_authenticate(customer)
    assert [client.get("/api/v1/effects").status_code for _ in range(5)] == [200] * 4 + [429]
    client.force_authenticate(staff)
    assert client.get("/api/v1/effects").status_code == 200


def test_one_subscriber_of_ipv6_has_one_limit(client: APIClient) -> None:
    answers = [
        client.get("/api/v1/effects", REMOTE_ADDR=f"2001:db8:0:1::{n}").status_code
        for n in range(1, 5)
    ]

    assert answers == [200, 200, 200, 429]
    assert client.get("/api/v1/effects", REMOTE_ADDR="2001:db8:0:2::1").status_code == 200


def test_an_account_is_limited_from_any_address_and_in_any_case(client: APIClient) -> None:
    assert log_in(client, "a@example.com", "192.0.2.1") != 429
    assert log_in(client, " A@Example.com", "192.0.2.2") != 429

    assert log_in(client, "a@EXAMPLE.com", "192.0.2.3") == 429
    assert log_in(client, "b@example.com", "192.0.2.3") != 429


def test_tokens_are_limited_by_address_across_accounts(client: APIClient) -> None:
    statuses = [log_in(client, f"{n}@example.com") for n in range(6)]

    assert [status == 429 for status in statuses] == [False] * 5 + [True]


@pytest.mark.parametrize("email", [None, 5, ["a"], {}])
def test_a_login_without_an_account_is_limited_by_address_alone(
    client: APIClient, email: Any
) -> None:
    response = client.post("/api/v1/auth/token", {"email": email})

    assert response["RateLimit-Policy"] == '"token_address";q=5;w=86400'


def test_registering_is_limited_by_address(client: APIClient) -> None:
    response = client.post("/api/v1/users", {})

    assert response["RateLimit-Policy"] == '"register_address";q=3;w=86400'


def test_placing_alone_and_in_bulk_share_the_limit_of_the_user(
    client: APIClient, customer: Any
) -> None:
    client.force_authenticate(customer)

    statuses = [
        client.post("/api/v1/orders", {"name": "x"}).status_code,
        client.post("/api/v1/orders/bulk", {}).status_code,
        client.post("/api/v1/orders", {"name": "x"}).status_code,
    ]

    assert statuses == [201, 200, 429]
    assert client.get("/api/v1/orders").status_code == 200


def test_health_and_metrics_have_no_limit(client: APIClient) -> None:
    for path in ("/health", "/metrics"):
        response = client.get(path)
        assert response.status_code == 200
        assert "RateLimit" not in response


def test_calls_of_payment_providers_have_no_limit(client: APIClient) -> None:
    path = "/api/v1/payments/webhooks/sandbox"

    answers = [client.post(path, {}) for _ in range(5)]

    assert {answer.status_code for answer in answers} == {200}
    assert not any("RateLimit" in answer for answer in answers)


def test_a_forwarded_address_is_believed_only_from_trusted_proxies(
    client: APIClient, settings: Any
) -> None:
    forged = {"x-forwarded-for": "10.0.0.1, 198.51.100.7, 203.0.113.5"}

    def address() -> Any:
        return client.get("/api/v1/effects", headers=forged, REMOTE_ADDR="192.0.2.1").json()["ip"]

    assert address() == "192.0.2.1"
    settings.TRUSTED_PROXIES = 1
    assert address() == "203.0.113.5"
    settings.TRUSTED_PROXIES = 2
    assert address() == "198.51.100.7"


def test_an_invalid_forwarded_address_is_ignored(client: APIClient, settings: Any) -> None:
    settings.TRUSTED_PROXIES = 1

    response = client.get("/api/v1/effects", headers={"x-forwarded-for": "<script>"})

    assert response.json()["ip"] is None


@pytest.mark.parametrize("url", [UNREACHABLE, SILENT])
def test_without_redis_limits_still_hold_and_nothing_waits_or_fails(
    client: APIClient, settings: Any, url: str
) -> None:
    settings.REDIS_URL = url
    address = f"2001:db8:{new_id().hex[-4:]}:1::1"

    begun = time.monotonic()
    first = client.get("/api/v1/effects", REMOTE_ADDR=address)
    seconds = time.monotonic() - begun
    begun = time.monotonic()
    rest = [client.get("/api/v1/effects", REMOTE_ADDR=address) for _ in range(3)]
    pause = time.monotonic() - begun

    assert [answer.status_code for answer in [first, *rest]] == [200, 200, 200, 429]
    # A silent server is given a second, twice, and then left alone.
    assert seconds < 2.5
    assert pause < 0.5


@pytest.mark.parametrize("url", [UNREACHABLE, SILENT])
def test_without_redis_logins_are_still_limited_and_nothing_waits_or_fails(
    client: APIClient, settings: Any, url: str
) -> None:
    default = {**settings.CACHES["default"], "LOCATION": url}
    settings.REDIS_URL = url
    settings.CACHES = {"default": default}
    account = f"{new_id()}@example.com"

    begun = time.monotonic()
    statuses = [log_in(client, account) for _ in range(3)]
    seconds = time.monotonic() - begun

    assert [status == 429 for status in statuses] == [False, False, True]
    assert seconds < 2.5


def test_every_limited_route_exists(settings: Any) -> None:
    settings.ROOT_URLCONF = "oms.urls"
    arguments = {"payment-webhook": {"provider": "sandbox"}}

    for _, name in settings.RATE_LIMITED_ROUTES:
        match = resolve(reverse(name, kwargs=arguments.get(name)))
        assert match.view_name == name


def test_the_zone_of_an_address_is_left_out(client: APIClient) -> None:
    response = client.get("/api/v1/effects", REMOTE_ADDR="fe80::1%eth0")

    assert response.json()["ip"] == "fe80::1"


def test_a_body_that_is_rejected_unread_counts_and_reports_the_limits(client: APIClient) -> None:
    large = b" " * (64 * 1024) + b"{}"
    sent: dict[str, Any] = {"data": large, "content_type": "application/json"}

    answers = [client.post("/api/v1/echo", **sent) for _ in range(4)]
    token = client.post("/api/v1/auth/token", **sent)

    assert [answer.status_code for answer in answers] == [413, 413, 413, 429]
    assert [answer["RateLimit"].split(";")[1] for answer in answers] == ["r=2", "r=1", "r=0", "r=0"]
    assert token.status_code == 413
    assert token["RateLimit-Policy"] == '"token_address";q=5;w=86400'


def test_limits_are_shared_by_processes_through_redis(client: APIClient) -> None:
    client.get("/api/v1/effects")
    cache.clear()  # empties the Redis database, and with it all counters

    assert client.get("/api/v1/effects")["RateLimit"].split(";")[1] == "r=2"
