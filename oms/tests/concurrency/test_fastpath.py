"""The fast path on real servers: what only real processes and real bytes can show."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from unittest.mock import patch
from uuid import UUID

import httpx
import psutil
import psycopg
import pytest
from django.db import connection

from oms.core.ids import new_id
from oms.fastpath.batches import answer_batch
from oms.fastpath.tests.calls import login, order_body, placing, token_of
from oms.http.operations import idempotency
from oms.testing.factories import make_customer, make_product
from oms.testing.ordering import outcomes_at_once, place, stock_of
from oms.testing.processes import Processes, RunningProcess
from orders.models import Order

pytestmark = pytest.mark.slow

PATH = "/api/v1/orders"
# Differ from one answer to the next.
_OF_THE_MOMENT = {"date", "location", "ratelimit", "x-request-id", "content-length"}


def raw(url: str, head: str, headers: Mapping[str, str], body: bytes = b"") -> httpx.Response:
    """The answer to a request that is sent as it stands; HTTP/1.1, one to a connection."""
    host, _, port = url.removeprefix("http://").partition(":")
    lines = [head, f"Host: {host}:{port}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    with socket.create_connection((host, int(port)), timeout=10) as wire:
        wire.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        received = b""
        while chunk := wire.recv(65536):
            received += chunk
    top, _, content = received.partition(b"\r\n\r\n")
    status, *fields = top.decode("latin-1").split("\r\n")
    pairs = [(name, value.strip()) for name, _, value in (f.partition(":") for f in fields)]
    return httpx.Response(
        int(status.split(" ")[1]),
        headers=[pair for pair in pairs if pair[0].lower() != "transfer-encoding"],
        content=content,
    )


def lasting(answer: httpx.Response) -> dict[str, str]:
    return {k: v for k, v in answer.headers.items() if k not in _OF_THE_MOMENT}


def test_fast_path_responses_equal_those_of_django_on_the_wire(processes: Processes) -> None:
    web = processes.start("web", {"RATE_LIMIT_PLACE": "1000/minute"})
    url, customer, mug = processes.web_url, make_customer(), make_product(stock=1_000)
    token = token_of(customer)
    order = place((mug, 1), customer=customer)
    auth = {"Authorization": f"Bearer {token}"}
    json_headers = {**auth, "Content-Type": "application/json"}
    body = json.dumps(order_body((mug.id, 1))).encode()
    # The deadline goes to Django, and changes nothing else.
    by_django = {"X-Request-Timeout-Ms": "20000"}

    def both(head: str, headers: Mapping[str, str], content: bytes = b"") -> httpx.Response:
        one, other = (raw(url, head, {**headers, **more}, content) for more in ({}, by_django))
        assert one.status_code == other.status_code, (one.text, other.text)
        assert lasting(one) == lasting(other)
        return one

    placed = both(f"POST {PATH} HTTP/1.1", json_headers, body)
    shown = both(f"GET {PATH}/{order.id} HTTP/1.1", auth)
    unchanged = both(f"GET {PATH}/{order.id} HTTP/1.1", {**auth, "If-None-Match": '"v1"'})
    missing = both(f"GET {PATH}/{new_id()} HTTP/1.1", auth)
    for path in (PATH, "/api/v1/products", f"/api/v1/products/{mug.id}"):
        listed = both(f"GET {path} HTTP/1.1", auth)
        again = both(f"GET {path} HTTP/1.1", {**auth, "If-None-Match": listed.headers["etag"]})
        assert (listed.status_code, again.status_code) == (200, 304)
    short = order_body((make_product(stock=0).id, 1))
    refused = both(f"POST {PATH} HTTP/1.1", json_headers, json.dumps(short).encode())
    found = [placed, shown, unchanged, missing, refused]
    assert [a.status_code for a in found] == [201, 200, 304, 404, 409]
    assert unchanged.content == b""
    assert "content-length" not in unchanged.headers

    # Addresses written otherwise are the same address.
    assert both(f"GET /api/v1/%6Frders/{order.id} HTTP/1.1", auth).status_code == 200
    assert both(f"GET {url}{PATH}/{order.id} HTTP/1.1", auth).status_code == 200
    assert both(f"GET {PATH}/{order.id}%0A HTTP/1.1", auth).status_code == 404
    assert both(f"GET {PATH}/{order.id}/ HTTP/1.1", auth).status_code == 404
    both(f"GET {PATH}/{str(order.id).upper()} HTTP/1.1", auth)
    head = both(f"HEAD {PATH}/{order.id} HTTP/1.1", auth)
    assert (head.status_code, head.content) == (200, b"")

    # A body belongs to what has one, has an end, and is not too large.
    assert both(f"GET {PATH}/{order.id} HTTP/1.1", auth, b"x" * 70_000).status_code == 413
    assert both(f"GET {PATH}/{order.id} HTTP/1.1", auth, b"x").status_code == 200
    padded = body[:-1] + b" " * 70_000 + b"}"
    assert both(f"POST {PATH} HTTP/1.1", json_headers, padded).status_code == 413
    assert both(f"POST {PATH} HTTP/1.1", json_headers).status_code == 400
    chunked = {**json_headers, "Transfer-Encoding": "chunked"}
    before = Order.objects.count()
    assert raw(url, f"POST {PATH} HTTP/1.1", chunked, b"").status_code in (400, 411)
    half_sent(url, json_headers, body)

    # One header twice has no clear meaning, and names with an underscore are dropped.
    twice = {**json_headers, "Idempotency-Key": "a", "idempotency-key": "b"}
    first, second = (raw(url, f"POST {PATH} HTTP/1.1", twice, body) for _ in range(2))
    assert (first.status_code, second.headers["idempotent-replayed"]) == (201, "true")
    before = Order.objects.count()
    smuggled = {**json_headers, "Idempotency_Key": "a", "X_Request_Timeout_Ms": "soon"}
    for _ in range(2):
        answered = both(f"POST {PATH} HTTP/1.1", smuggled, body)
        assert answered.status_code == 201
        assert "idempotent-replayed" not in answered.headers
    assert Order.objects.count() == before + 4
    assert both(f"GET {PATH}?search=%ff HTTP/1.1", auth).status_code == 400
    odd = raw(url, f"GET {PATH}?search=\xe4 HTTP/1.1", auth)
    assert odd.status_code == 400
    assert "Traceback" not in web.log_text()


def half_sent(url: str, headers: Mapping[str, str], body: bytes) -> None:
    """Send a request whose client goes away after half of the body; it must have no effect."""
    before = Order.objects.count()
    host, _, port = url.removeprefix("http://").partition(":")
    lines = [f"POST {PATH} HTTP/1.1", f"Host: {host}:{port}", f"Content-Length: {len(body) + 9}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with socket.create_connection((host, int(port)), timeout=10) as wire:
        wire.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        time.sleep(0.1)
    time.sleep(0.2)
    assert Order.objects.count() == before


def placed_at_once(
    url: str, token: str, keys: list[str], *, product: UUID, clients: int = 20
) -> list[httpx.Response]:
    """The answers to one placing for each of the keys ("" for none), sent by many clients."""
    body = order_body((product, 1))

    def one(key: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}", **({"Idempotency-Key": key} if key else {})}
        return client.post(PATH, json=body, headers=headers)

    with (
        httpx.Client(base_url=url, timeout=20, verify=False) as client,  # noqa: S501  # no TLS here
        ThreadPoolExecutor(clients) as threads,
    ):
        return list(threads.map(one, keys))


def test_over_two_processes_a_key_has_one_effect_and_limits_hold_exactly(
    processes: Processes,
) -> None:
    processes.start("web", {"WEB_WORKERS": "2", "RATE_LIMIT_PLACE": "150/hour"})
    mug = make_product(stock=1_000)
    keyed, limited = token_of(make_customer()), token_of(make_customer())

    # Each of fifty keys twice, and one that all know.
    keys = [f"k{n // 2}" for n in range(100)] + ["one"] * 40
    answers = placed_at_once(processes.web_url, keyed, keys, product=mug.id)

    assert {a.status_code for a in answers} <= {201, 409}
    first = [a for a in answers if a.status_code == 201 and "Idempotent-Replayed" not in a.headers]
    assert len(first) == 51
    assert {a.json()["code"] for a in answers if a.status_code == 409} <= {
        "idempotency_in_progress"
    }
    assert Order.objects.count() == 51
    assert stock_of(mug) == (1_000, 51)

    answers = placed_at_once(processes.web_url, limited, [""] * 170, product=mug.id)

    assert Counter(a.status_code for a in answers) == {201: 150, 429: 20}
    assert Order.objects.count() == 201


def _place_with_key(product_id: UUID, token: str, key: str) -> object:
    return answer_batch([placing((product_id, 1), token=token, key=key)])


@pytest.mark.django_db(transaction=True)
def test_without_the_lock_on_its_key_a_call_has_several_effects() -> None:
    """The negative control of the test above: it would notice if keys were not locked."""
    mug, token = make_product(stock=1_000), token_of(make_customer())
    unlocked = idempotency._LOCK_KEYS.replace("pg_try_advisory_xact_lock(key.number)", "true")
    assert unlocked != idempotency._LOCK_KEYS

    def effects_of(key: str) -> int:
        before = Order.objects.count()
        outcomes_at_once([partial(_place_with_key, mug.id, token, key)] * 8)
        return Order.objects.count() - before

    assert effects_of("locked") == 1
    with patch.object(idempotency, "_LOCK_KEYS", unlocked):
        # Calls that do not overlap have one effect even so, hence several rounds.
        assert any(effects_of(f"unlocked{n}") > 1 for n in range(20))


def terminate_all(name: str) -> int:
    """End every connection of the application called `name`; returns how many there were."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid, 2000)) FROM pg_stat_activity"
            " WHERE application_name = %s AND datname = current_database()",
            [name],
        )
        [ended] = cursor.fetchone()
    return int(ended)


def test_lost_connections_are_detected_once_and_nothing_is_done_twice(
    processes: Processes,
) -> None:
    processes.start("web")
    mug, token = make_product(stock=1_000), token_of(make_customer())
    url = processes.web_url

    def round_of(name: str) -> list[int]:
        keys = [f"{name}{n}" for n in range(10)]
        answers = placed_at_once(url, token, keys, product=mug.id, clients=10)
        return [a.status_code for a in answers]

    assert round_of("a") == [201] * 10
    assert terminate_all("web") >= 1
    after_the_loss = round_of("b")
    assert set(after_the_loss) <= {201, 503}
    assert round_of("c") == [201] * 10
    # Each that was refused resolves by its key.
    assert round_of("b") == [201] * 10
    assert Order.objects.count() == 30
    assert stock_of(mug) == (1_000, 30)

    # One that was idle when its connection was lost does not make a client find out.
    terminate_all("web")
    time.sleep(0.6)
    assert set(round_of("d")) == {201}


def test_a_server_that_shuts_down_finishes_the_requests_it_has_begun(processes: Processes) -> None:
    web: RunningProcess = processes.start("web", {"FAST_PATH_LOCK_TIMEOUT_MS": "3000"})
    mug, tokens = make_product(stock=1_000), [token_of(make_customer()) for _ in range(5)]
    url = processes.web_url

    def buy(token: str) -> int:
        return placed_at_once(url, token, ["k"], product=mug.id, clients=1)[0].status_code

    with ThreadPoolExecutor(5) as threads:
        with psycopg.connect(**login()) as holder:
            holder.execute(
                "SELECT 1 FROM inventory_stocklevel WHERE product_id = %s FOR UPDATE", [mug.id]
            )
            buying = [threads.submit(buy, token) for token in tokens]
            wait_for_waiting()
            web.popen.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            assert not any(one.done() for one in buying)
        assert [one.result(timeout=10) for one in buying] == [201] * 5

    assert web.terminate() == 0
    assert Order.objects.count() == 5
    assert not re.search("Traceback|error", web.log_text(), re.IGNORECASE)


def wait_for_waiting() -> None:
    """Wait until a web process waits for a lock."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE application_name = 'web' AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone() != (0,):
                time.sleep(0.2)  # for the other calls
                return
        time.sleep(0.01)
    raise AssertionError("nobody waits")


def backends_of(application: str) -> list[int]:
    """The processes of PostgreSQL behind the connections of the application."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity"
            " WHERE application_name = %s AND datname = current_database()",
            [application],
        )
        return [pid for (pid,) in cursor.fetchall()]


@contextmanager
def stopped(pids: Sequence[int]) -> Iterator[None]:
    """Stop the processes, as a dropped NAT entry or a failed-over primary seems to."""
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def test_a_database_that_hangs_is_answered_in_time_and_left(processes: Processes) -> None:
    settings = {
        "FAST_PATH_LOCK_TIMEOUT_MS": "4000",
        "DB_ANSWER_TIMEOUT_MS": "4000",
        "FAST_PATH_DEADLINE": "6",
    }
    processes.start("web", settings)
    mug, token = make_product(stock=1_000), token_of(make_customer())
    url = processes.web_url

    def buy(key: str) -> httpx.Response:
        return placed_at_once(url, token, [key], product=mug.id, clients=1)[0]

    def resolved(key: str) -> int:
        """The status by its key, once PostgreSQL has ended what its lost client had begun."""
        deadline = time.monotonic() + 10
        while (status := buy(key).status_code) == 409 and time.monotonic() < deadline:
            time.sleep(0.1)
        return status

    def ready() -> httpx.Response:
        return httpx.get(f"{url}/health/ready", timeout=10)

    # A connection that was idle is tested before it is used.
    assert buy("a").status_code == 201
    time.sleep(0.6)
    with stopped(backends_of("web")):
        began = time.monotonic()
        assert buy("b").status_code in (201, 503)
        assert time.monotonic() - began < 8
    assert resolved("b") == 201

    # One that hangs while it is used is waited for until the limit.
    with ThreadPoolExecutor(4) as threads, psycopg.connect(**login()) as holder:
        holder.execute(
            "SELECT 1 FROM inventory_stocklevel WHERE product_id = %s FOR UPDATE", [mug.id]
        )
        buying = [threads.submit(buy, f"c{n}") for n in range(4)]
        wait_for_waiting()
        began = time.monotonic()
        with stopped(backends_of("web")):
            holder.rollback()
            time.sleep(2.5)
            unready = ready()
            answers = [one.result(timeout=20) for one in buying]
        assert time.monotonic() - began < 8

    assert unready.status_code == 503
    assert unready.json()["dependencies"]["fast_path"]["status"] == "down"
    refused = [one for one in answers if one.status_code != 201]
    assert refused
    for one in refused:
        assert (one.status_code, one.json()["code"]) == (503, "unavailable")
        assert int(one.headers["Retry-After"]) >= 1
    assert ready().status_code == 200
    # Each that was refused resolves by its key.
    assert [resolved(f"c{n}") for n in range(4)] == [201] * 4
    assert Order.objects.count() == 6
    assert stock_of(mug) == (1_000, 6)


def test_a_large_body_without_authentication_is_not_decoded(processes: Processes) -> None:
    web = processes.start("web")
    order = json.dumps(order_body((make_product().id, 1)))
    body = f'{{"orders": [{", ".join([order] * (1_500_000 // len(order)))}]}}'.encode()
    headers = {"Content-Type": "application/json"}

    def send(_: int) -> Counter[int]:
        with httpx.Client(base_url=processes.web_url, timeout=20) as client:
            return Counter(
                client.post(f"{PATH}/bulk", content=body, headers=headers).status_code
                for _ in range(10)
            )

    before = cpu_seconds(web.pid)
    with ThreadPoolExecutor(4) as threads:
        statuses = sum(threads.map(send, range(4)), Counter())

    assert set(statuses) == {401}
    # Decoding one takes about 20 ms of CPU.
    assert (cpu_seconds(web.pid) - before) / 40 < 0.015


def cpu_seconds(pid: int) -> float:
    """The CPU seconds of a process and of its children so far."""
    process = psutil.Process(pid)
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return sum(one.user + one.system for one in times)
