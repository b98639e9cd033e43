"""Secrets that everything was made of are searched for wherever the shop writes something down.

Real processes run with seeded secrets, through successes and failures: web, workers, provider. Then
the logs, the database, the broker, the mails and the answers are searched. A secret that is put
there on purpose is found.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
import redis
from django.conf import settings
from django.db import connection
from django.test import Client

from oms.testing.factories import make_product, make_staff
from oms.testing.ordering import ADDRESS
from oms.testing.processes import Processes
from oms.tests.attacks.streams import (
    refused_by_web_socket,
    use_for_events,
    use_for_web_socket,
)
from payments.operations.attempts import PROCESS_TASK

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

PASSWORD, WRONG = "seeded-Password-4711", "seeded-Wrong-4712"
# Settings of the processes.
SETTINGS = {
    "SECRET_KEY": "seeded-secret-key-4713-0123456789-0123456789-0123456789",
    "JWT_SIGNING_KEY": "seeded-signing-key-4714-0123456789-0123456789",
    "SANDBOX_API_KEY": "seeded-api-key-4715",
    "SANDBOX_WEBHOOK_SECRET": "seeded-webhook-secret-4716",
    "METRICS_TOKEN": "seeded-metrics-token-4717",
}
# A payment's token is in its row, for the worker that charges it; nowhere else.
CARD = "tok_seeded-card-4718"
# Where a secret has to be.
MAY_BE_IN = {CARD: {"payments_payment.token"}}


@dataclass
class Written:
    """Texts by the place where they were found."""

    texts: dict[str, str] = field(default_factory=dict)

    def add(self, place: str, text: str | bytes) -> None:
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        self.texts[place] = f"{self.texts.get(place, '')}\n{text}"

    def places_of(self, secret: str) -> set[str]:
        """The places where the secret is, as it is or somewhere in base64, as in messages."""
        forms = {secret, json.dumps(secret)[1:-1], *_in_base64(secret)}
        return {place for place, text in self.texts.items() if any(form in text for form in forms)}


def _in_base64(secret: str) -> Iterator[str]:
    """What is certain of the base64 of a text with `secret` in it, at each of three alignments."""
    for offset in range(3):
        encoded = base64.b64encode(b"x" * offset + secret.encode()).decode().rstrip("=")
        yield encoded[-(-offset * 8 // 6) : -1]


def test_a_secret_is_found_in_any_form() -> None:
    for before in ("", "a", "ab", "abc"):
        written = Written()
        written.add("base64", base64.b64encode(f"{before}{PASSWORD} after".encode()))
        written.add("other", base64.b64encode(f"{before}{WRONG} after".encode()))
        assert written.places_of(PASSWORD) == {"base64"}


def _order(product_id: object, token: str) -> dict[str, Any]:
    return {
        "items": [{"product_id": str(product_id), "quantity": 1}],
        "shipping_address": ADDRESS,
        "payment": {"provider": "sandbox", "token": token},
    }


def _tables() -> Iterator[tuple[str, str]]:
    """Each column of each table with all of its values as text."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            for column in connection.introspection.get_table_description(cursor, table):
                cursor.execute(
                    f"SELECT coalesce(string_agg(\"{column.name}\"::text, E'\\n'), '')"  # noqa: S608
                    f' FROM "{table}"'
                )
                yield f"{table}.{column.name}", cursor.fetchone()[0]


@contextmanager
def commands_to_redis() -> Iterator[list[str]]:
    """Every command that Redis gets inside, with its arguments: messages, cached values, limits."""
    commands: list[str] = []
    # The library's default gives up after five seconds without a command.
    with (
        redis.from_url(settings.REDIS_URL, socket_timeout=None) as client,
        client.monitor() as monitor,
    ):

        def listen() -> None:
            for command in monitor.listen():
                commands.append(command["command"])
                if _LAST in commands[-1]:
                    return

        listener = Thread(target=listen, daemon=True)
        listener.start()
        yield commands
        client.echo(_LAST)
        listener.join(timeout=10)
        assert not listener.is_alive()


_LAST = "the last command of the test"


@pytest.fixture
def commands() -> Iterator[list[str]]:
    with commands_to_redis() as seen:
        yield seen


@pytest.mark.timeout(240)
def test_no_secret_is_written_down(processes: Processes, commands: list[str]) -> None:
    product = make_product(stock=50)
    staff = make_staff(email="sam@example.com", is_superuser=True)
    written = Written()
    processes.start_all({**SETTINGS, "LOG_LEVEL": "DEBUG"})
    secrets = {PASSWORD, WRONG, CARD, *SETTINGS.values()}

    def answer(method: str, path: str, **sent: Any) -> httpx.Response:
        url = f"{processes.web_url}{path}"
        got = httpx.request(method, url, timeout=20, trust_env=False, **sent)
        written.add(f"answer {method} {path} {got.status_code}", got.content)
        written.add(f"headers {method} {path} {got.status_code}", str(got.headers))
        assert got.status_code < 500, got.text
        return got

    # --- Accounts: created, logged in to with right and wrong passwords, in right and wrong places
    email = "seeded@example.com"
    account = {"email": email, "password": PASSWORD, "full_name": "Seeded"}
    assert answer("POST", "/api/v1/users", json=account).status_code == 201
    key = {"Idempotency-Key": "k"}
    assert answer("POST", "/api/v1/users", json=account, headers=key).status_code == 409
    for wrong in ({**account, "phone": 5}, {**account, "password": WRONG * 20}, [account]):
        assert answer("POST", "/api/v1/users", json=wrong).status_code == 400
    broken = json.dumps(account).encode()[:-1]
    assert answer("POST", "/api/v1/users", content=broken).status_code in (400, 415)
    for password in (WRONG, PASSWORD):
        credentials = {"email": email, "password": password}
        pair = answer("POST", "/api/v1/auth/token", json=credentials)
    tokens = httpx_pair(pair)
    written.texts.pop("answer POST /api/v1/auth/token 200")  # whose purpose it is
    secrets |= set(tokens.values())
    refreshed = answer("POST", "/api/v1/auth/token/refresh", json={"refresh": tokens["refresh"]})
    written.texts.pop("answer POST /api/v1/auth/token/refresh 200")
    secrets |= set(refreshed.json().values())
    bearer = {"Authorization": f"Bearer {refreshed.json()['access']}"}
    for path in ("/api/v1/users/me", "/api/v1/admin/orders", "/api/v1/orders/x", "/api/v1/orders"):
        answer("GET", path, headers=bearer)
        answer("GET", path, headers={"Authorization": f"Bearer {tokens['access'][:-2]}"})
    answer("GET", f"/api/v1/products?token={tokens['access'][:40]}&password={WRONG}")
    answer("POST", "/api/v1/auth/token/refresh", json={"refresh": tokens["refresh"]})  # used
    answer("POST", "/admin/login/", data={"username": email, "password": WRONG})
    answer("GET", "/metrics", headers={"Authorization": f"Bearer {SETTINGS['METRICS_TOKEN']}"})
    answer("GET", "/metrics", headers={"Authorization": f"Bearer {WRONG}"})

    # --- Orders: paid, declined by the provider, and refused
    credentials = {"email": email, "password": PASSWORD}
    pair = answer("POST", "/api/v1/auth/token", json=credentials)
    written.texts.pop("answer POST /api/v1/auth/token 200")
    secrets |= set(pair.json().values())
    bearer = {"Authorization": f"Bearer {pair.json()['access']}"}
    placed = []
    for token in ("tok_success", CARD):
        body = _order(product.id, token)
        placed.append(answer("POST", "/api/v1/orders", json=body, headers=bearer).json()["id"])
        assert answer("POST", "/api/v1/orders", json={**body, "x": 1}, headers=bearer).is_error
    body = _order("00000000-0000-7000-8000-000000000000", CARD)
    assert answer("POST", "/api/v1/orders", json=body, headers=bearer).is_error
    _wait_until_charged()
    for id in placed:
        for path in ("", "?expand=payments,history", "/status", "/payments"):
            answer("GET", f"/api/v1/orders/{id}{path}", headers=bearer)
    # --- Streams: tickets that open one, that were used, and in wrong places
    for use in (use_for_events, use_for_web_socket):
        got = answer("POST", "/api/v1/stream/tickets", headers=bearer)
        written.texts.pop("answer POST /api/v1/stream/tickets 201")  # whose purpose it is
        ticket = got.json()["ticket"]
        secrets.add(ticket)
        written.add(f"stream of {use.__name__}", use(processes.web_url, ticket))
        assert answer("GET", f"/api/v1/stream?topics=orders&ticket={ticket}").status_code == 401
        written.add("a used ticket", refused_by_web_socket(processes.web_url, ticket))
        assert answer("GET", f"/api/v1/stream?topics=x&ticket={ticket}").status_code == 400
        for path in ("products", "ws", "stream/tickets"):
            answer("GET", f"/api/v1/{path}?ticket={ticket}")

    forged = {"webhook-id": "x", "webhook-timestamp": "1", "webhook-signature": WRONG}
    assert answer("POST", "/api/v1/payments/webhooks/sandbox", headers=forged).is_error

    # --- What staff see
    browser: Any = Client()
    browser.force_login(staff)
    for path in BACK_OFFICE:
        page = browser.get(path)
        assert page.status_code == 200, path
        written.add(f"page {path}", page.content)
    for admin, name in (("payments/payment", "payments_payment"), ("orders/order", "orders_order")):
        for id in _ids(name):
            written.add(f"page {admin}", browser.get(f"/admin/{admin}/{id}/change/").content)

    for process in processes.running():
        process.terminate()
    for place, text in _tables():
        written.add(place, text)
    for file, content in _files(processes):
        written.add(file, content)
    written.add("redis", "\n".join(commands))
    assert PROCESS_TASK in written.texts["redis"]  # the name of a task in its message

    logs = [place for place in written.texts if place.endswith("-0.log")]
    assert len(logs) == 5
    assert all(written.texts[log].strip() for log in logs)
    assert written.places_of(email)  # so what is there would be found
    found = {secret: written.places_of(secret) - MAY_BE_IN.get(secret, set()) for secret in secrets}
    assert {secret: places for secret, places in found.items() if places} == {}

    for place in ("web-0.log", "events_event.data", "redis"):
        written.add(place, f"what a bug would write: {PASSWORD}")
        assert place in written.places_of(PASSWORD)


BACK_OFFICE = (
    "/admin/",
    "/admin/orders/order/",
    "/admin/payments/payment/",
    "/admin/users/user/",
    "/admin/users/session/",
    "/admin/notifications/notification/",
)


def httpx_pair(answer: httpx.Response) -> Mapping[str, str]:
    """The tokens of an answer."""
    pair: dict[str, str] = answer.json()
    assert pair.keys() == {"access", "refresh"}
    return pair


def _ids(table: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT id FROM "{table}"')  # noqa: S608
        return [id for (id,) in cursor.fetchall()]


def _wait_until_charged() -> None:
    """Wait until no payment is due any more."""
    until = time.monotonic() + 30
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM payments_payment WHERE status IN ('created', 'processing')"
            )
            if not cursor.fetchone()[0]:
                return
        assert time.monotonic() < until
        time.sleep(0.2)


def _files(processes: Processes) -> Iterator[tuple[str, bytes]]:
    """All files that the processes have written, without the provider's own ledger."""
    folder: Path = processes.mail.parent
    for path in folder.rglob("*"):
        if path.is_file() and "sandbox" not in path.parts:
            yield path.name, path.read_bytes()
