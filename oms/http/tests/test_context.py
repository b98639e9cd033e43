from __future__ import annotations

import json
import logging
import socket
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import structlog
from rest_framework.test import APIClient

from oms.http import health

pytestmark = pytest.mark.django_db


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Any:
    """The request lines of the log so far, each with its context."""
    caplog.set_level(logging.INFO, logger="oms.http.requests")

    def read() -> list[dict[str, Any]]:
        logged = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        return [line for line in logged if line["event"] == "request"]

    return read


@pytest.mark.parametrize("offered", ["abc-1.2_3", "a" * 128])
def test_a_sane_request_id_is_echoed(client: APIClient, offered: str) -> None:
    assert client.get("/health", headers={"x-request-id": offered})["X-Request-ID"] == offered


@pytest.mark.parametrize("offered", ["", "a b", "a" * 129, "a\nb", "ä", '"><script>'])
def test_any_other_request_id_is_replaced(client: APIClient, offered: str) -> None:
    made = client.get("/health", HTTP_X_REQUEST_ID=offered)["X-Request-ID"]

    assert UUID(made).version == 7


def test_each_request_writes_one_line_without_its_query(client: APIClient, lines: Any) -> None:
    client.get("/api/v1/things?search=secret", headers={"x-request-id": "r-1"})

    [line] = lines()
    assert line["event"] == "request"
    assert line["request_id"] == "r-1"
    assert line["method"] == "GET"
    assert line["path"] == "/api/v1/things"
    assert line["route"] == "api/v1/things$"
    assert line["status"] == 200
    assert line["duration_ms"] > 0
    assert line["user_id"] is None
    assert "secret" not in str(line)


def test_the_line_names_the_user_and_no_secrets(
    client: APIClient, customer: Any, lines: Any
) -> None:
    client.force_authenticate(customer)
    client.post("/api/v1/effects", {"name": "password"}, headers={"idempotency-key": "the-key"})

    [line] = lines()
    assert line["user_id"] == str(customer.pk)
    assert "password" not in str(line)
    assert "the-key" not in str(line)


def test_a_trace_is_taken_up(client: APIClient, lines: Any) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    client.get("/health", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})

    assert lines()[0]["trace_id"] == trace


@pytest.mark.parametrize(
    "traceparent",
    ["nonsense", f"00-{'0' * 32}-00f067aa0ba902b7-01", f"ff-{'a' * 32}-00f067aa0ba902b7-01"],
)
def test_an_invalid_trace_is_ignored(client: APIClient, lines: Any, traceparent: str) -> None:
    response = client.get("/health", headers={"traceparent": traceparent})

    assert response.status_code == 200
    assert "trace_id" not in lines()[0]


def test_the_context_of_a_request_ends_with_it(client: APIClient) -> None:
    client.get("/health")

    assert structlog.contextvars.get_contextvars() == {}


def test_a_healthy_process_is_ready_with_all_it_needs(client: APIClient) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    response = client.get("/health/ready")

    assert response.status_code == 200
    assert response.json()["status"] == "ok"
    states = response.json()["dependencies"]
    assert {name: state["status"] for name, state in states.items()} == {
        "postgresql": "ok",
        "redis": "ok",
    }


def test_without_redis_orders_are_still_taken_so_it_is_only_degraded(
    client: APIClient, settings: Any
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"

    response = client.get("/health/ready")

    assert response.status_code == 200
    assert response.json()["status"] == "degraded"
    states = response.json()["dependencies"]
    assert states["redis"]["status"] == "down"
    assert states["postgresql"]["status"] == "ok"


def test_a_missing_process_is_shown_and_orders_are_still_taken(
    client: APIClient, settings: Any, tmp_path: Path
) -> None:
    settings.RUN_DIR = tmp_path
    states = {
        "beat": {"status": "restarting", "restarts": 2},
        "web": {"status": "ok", "restarts": 0},
    }
    (tmp_path / "processes.json").write_text(json.dumps(states))

    response = client.get("/health/ready")

    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert response.json()["processes"] == states


def test_a_missing_database_is_named_and_the_process_still_healthy(
    client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = {"host": "127.0.0.1", "port": 1}
    monkeypatch.setattr(health, "_connection_parameters", lambda: nowhere)

    response = client.get("/health/ready")

    assert response.status_code == 503
    assert response.json()["dependencies"]["postgresql"]["status"] == "down"
    assert client.get("/health").status_code == 200


def test_a_hanging_dependency_is_given_one_second(client: APIClient, settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.REDIS_URL = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"

        response = client.get("/health/ready")

    assert response.json()["dependencies"]["redis"]["status"] == "down"
