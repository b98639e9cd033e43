"""GET /metrics: who may read it, and that it shows one truth for all processes."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from oms.testing.processes import Processes

TOTAL = "django_http_responses_total_by_status_view_method_total"


def value_of(text: str, name: str) -> float:
    lines = [line for line in text.splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
    return sum(float(line.split()[-1]) for line in lines)


def scrape(client: APIClient, **sent: Any) -> str:
    response = client.get("/metrics", **sent)
    assert response.status_code == 200, response.content
    return response.content.decode()


def test_requests_are_counted_in_the_format_of_prometheus(client: APIClient) -> None:
    before = value_of(scrape(client), TOTAL)

    client.get("/health")

    assert value_of(scrape(client), TOTAL) == before + 2


@pytest.mark.parametrize(
    ("address", "forwarded", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("192.0.2.1", {}, 403),
        ("", {}, 403),
        ("127.0.0.1", {"x-forwarded-for": "127.0.0.1"}, 403),
    ],
)
def test_without_a_token_only_this_machine_may_scrape(
    client: APIClient, address: str, forwarded: dict[str, str], status: int
) -> None:
    response = client.get("/metrics", headers=forwarded, REMOTE_ADDR=address)

    assert response.status_code == status
    if status == 403:
        assert response["Content-Type"] == "application/problem+json"


def test_behind_a_known_proxy_the_client_counts(client: APIClient, settings: Any) -> None:
    settings.TRUSTED_PROXIES = 1

    for address, status in (("203.0.113.5", 403), ("127.0.0.1", 200)):
        sent = {"x-forwarded-for": address}
        assert client.get("/metrics", headers=sent).status_code == status


def test_with_a_token_every_scraper_needs_it(client: APIClient, settings: Any) -> None:
    settings.METRICS_TOKEN = "the-token-of-the-scraper"

    for given in ({}, {"authorization": "Bearer other"}, {"authorization": "Bearer ü"}):
        response = client.get("/metrics", headers=given)
        assert response.status_code == 401
        assert response["WWW-Authenticate"].startswith("Bearer")
        assert response.json()["code"] == "not_authenticated"
    scrape(
        client,
        headers={"authorization": f"bearer {settings.METRICS_TOKEN}"},
        REMOTE_ADDR="192.0.2.1",
    )


@pytest.mark.django_db
def test_a_scrape_does_not_query_the_database(client: APIClient) -> None:
    with CaptureQueriesContext(connection) as queries:
        scrape(client)

    assert len(queries) == 0


def test_counts_of_an_ended_process_remain_and_its_files_are_removed(client: APIClient) -> None:
    folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    code = (
        "import os, sys; from prometheus_client import Counter, Gauge\n"
        "Counter('tests_of_processes', '…').inc(float(sys.argv[1]))\n"
        "Gauge('tests_latest', '…', multiprocess_mode='mostrecent').set(float(sys.argv[1]))\n"
        "print(os.getpid())"
    )

    for number in ("3", "4"):
        done = subprocess.run(
            [sys.executable, "-c", code, number], capture_output=True, text=True, check=True
        )
        assert list(folder.glob(f"*_{done.stdout.strip()}.db"))
        scrape(client)
        assert not list(folder.glob(f"*_{done.stdout.strip()}.db"))

    text = scrape(client)
    assert value_of(text, "tests_of_processes_total") % 7 == 0
    assert value_of(text, "tests_latest") == 4


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_two_web_processes_show_the_same_counters(processes: Processes) -> None:
    processes.start("web", {"WEB_WORKERS": "2"})
    seen = []

    with httpx.Client() as client:
        for _ in range(40):
            text = client.get(f"{processes.web_url}/metrics", headers={"Connection": "close"}).text
            seen.append(value_of(text, TOTAL))

    assert [after - before for before, after in pairwise(seen)] == [1.0] * 39
