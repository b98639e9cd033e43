"""The provider process itself: its API at the wire, its ledger over restarts, its faults."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from payments.sandbox.faults import Fault, Faults
from payments.tests.sandbox_process import API_KEY, SandboxProcess, WebhookReceiver, eventually

BODY = {
    "amount": "12.50",
    "currency": "EUR",
    "token": "tok_success",
    "capture": True,
    "reference": "order-1",
    "metadata": {"basket": [1, 2]},
}


def client_of(process: SandboxProcess) -> httpx.Client:
    return httpx.Client(
        base_url=process.url,
        headers={"Authorization": f"Bearer {API_KEY}"},
        timeout=5,
        trust_env=False,
    )


@pytest.fixture
def api(sandbox: SandboxProcess) -> Iterator[httpx.Client]:
    with client_of(sandbox) as client:
        yield client


def post(
    api: httpx.Client, path: str, body: dict[str, Any], key: str | None = None
) -> httpx.Response:
    return api.post(path, json=body, headers={"Idempotency-Key": key or str(uuid4())})


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def count(process: SandboxProcess, table: str) -> int:
    [(rows,)] = process.rows(f"SELECT count(*) FROM {table}")  # noqa: S608 - a name of ours
    return int(rows)


def test_a_charge_shows_all_of_the_contract(api: httpx.Client) -> None:
    key = str(uuid4())

    response = post(api, "/v1/charges", BODY, key)

    charge = response.json()
    assert response.status_code == 201
    assert charge.pop("id").startswith("ch_")
    assert charge.pop("created_at").endswith("Z")
    assert charge == {
        "idempotency_key": key,
        "status": "captured",
        "amount": "12.50",
        "currency": "EUR",
        "captured_amount": "12.50",
        "refunded_amount": "0.00",
        "reference": "order-1",
        "metadata": {"basket": [1, 2]},
        "decline_code": None,
        "decline_message": None,
    }


def test_a_charge_is_found_by_its_id_and_by_its_key(api: httpx.Client) -> None:
    charge = post(api, "/v1/charges", BODY).json()

    assert api.get(f"/v1/charges/{charge['id']}").json() == charge
    found = api.get("/v1/charges", params={"idempotency_key": charge["idempotency_key"]})
    assert found.json() == {"data": [charge]}
    assert code(api.get("/v1/charges/ch_none")) == (404, "no_such_charge")


def test_the_same_key_and_body_is_replayed_and_another_body_is_422(
    api: httpx.Client, sandbox: SandboxProcess
) -> None:
    key = str(uuid4())
    first = post(api, "/v1/charges", BODY, key)
    before = count(sandbox, "charges")

    again = post(api, "/v1/charges", dict(reversed(BODY.items())), key)
    other = post(api, "/v1/charges", {**BODY, "reference": "order-2"}, key)

    assert again.status_code == 200
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    assert code(other) == (422, "idempotency_key_reused")
    assert count(sandbox, "charges") == before


def test_a_refund_key_with_another_amount_is_422(api: httpx.Client) -> None:
    charge, key = post(api, "/v1/charges", BODY).json(), str(uuid4())
    body = {"charge_id": charge["id"], "amount": "1.00", "reason": "damaged"}
    assert post(api, "/v1/refunds", body, key).status_code == 201

    assert post(api, "/v1/refunds", body, key).status_code == 200
    assert code(post(api, "/v1/refunds", {**body, "amount": "2.00"}, key)) == (
        422,
        "idempotency_key_reused",
    )
    assert api.get(f"/v1/charges/{charge['id']}").json()["refunded_amount"] == "1.00"


def test_a_capture_key_on_another_charge_is_422(api: httpx.Client) -> None:
    first, second = (
        post(api, "/v1/charges", {**BODY, "capture": False}).json()["id"] for _ in range(2)
    )
    key = str(uuid4())
    assert post(api, f"/v1/charges/{first}/capture", {}, key).status_code == 201

    refused = post(api, f"/v1/charges/{second}/capture", {}, key)

    assert code(refused) == (422, "idempotency_key_reused")
    assert api.get(f"/v1/charges/{second}").json()["status"] == "authorized"


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", f"Basic {API_KEY}", "Bearer é"])
def test_without_the_api_key_everything_but_health_is_401(
    sandbox: SandboxProcess, authorization: str
) -> None:
    headers = {"Authorization": authorization.encode(), "Idempotency-Key": b"k"}
    with httpx.Client(base_url=sandbox.url, headers=headers, trust_env=False) as stranger:
        assert code(stranger.get("/v1/ledger")) == (401, "unauthorized")
        assert code(stranger.post("/v1/charges", json=BODY)) == (401, "unauthorized")
        assert stranger.get("/health").json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"token": "tok_of_nobody"}, "unknown_token"),
        ({"token": None}, "invalid_token"),
        ({"amount": 12.5}, "invalid_amount"),
        ({"amount": "0.00"}, "invalid_amount"),
        ({"amount": "-1.00"}, "invalid_amount"),
        ({"amount": "1.005"}, "invalid_amount"),
        ({"amount": "١.٠٠"}, "invalid_amount"),
        ({"amount": "1" * 17 + ".00"}, "invalid_amount"),
        ({"currency": "eur"}, "invalid_currency"),
        ({"capture": "yes"}, "invalid_capture"),
        ({"reference": "\x00"}, "invalid_reference"),
        ({"reference": "x" * 501}, "invalid_reference"),
        ({"metadata": []}, "invalid_metadata"),
    ],
)
def test_a_bad_member_is_400_and_names_it(
    api: httpx.Client, sandbox: SandboxProcess, changed: dict[str, Any], expected: str
) -> None:
    before = count(sandbox, "charges")

    assert code(post(api, "/v1/charges", {**BODY, **changed})) == (400, expected)

    assert count(sandbox, "charges") == before


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b'{"amount": NaN}', b"[" * 60_000])
def test_a_body_that_is_no_json_object_is_400(api: httpx.Client, content: bytes) -> None:
    response = api.post("/v1/charges", content=content, headers={"Idempotency-Key": "k"})

    assert code(response) == (400, "invalid_json")


def test_a_write_needs_a_key_and_a_look_up_too(api: httpx.Client) -> None:
    assert code(api.post("/v1/charges", json=BODY)) == (400, "idempotency_key_required")
    assert code(api.get("/v1/charges")) == (400, "idempotency_key_required")


def test_what_is_not_there_is_404_405_413_or_411(api: httpx.Client) -> None:
    assert code(api.get("/v2")) == (404, "not_found")
    assert code(api.get("/v1/charges/x/void")) == (405, "method_not_allowed")
    assert api.delete("/v1/charges").status_code == 501
    assert code(api.post("/v1/charges", content=b" " * 65_537)) == (413, "body_too_large")
    assert code(api.post("/v1/charges", content=iter([b"{}"]))) == (411, "length_required")
    assert api.get("/health").status_code == 200


def test_the_ledger_goes_in_pages(api: httpx.Client) -> None:
    made = [post(api, "/v1/charges", BODY).json() for _ in range(3)]

    seen, after = [], 0
    while after is not None:
        page = api.get("/v1/ledger", params={"limit": "2", "after": str(after)}).json()
        assert len(page["data"]) <= 2
        seen += page["data"]
        after = page["next"]

    assert [charge for charge in seen if charge in made] == made
    assert code(api.get("/v1/ledger", params={"limit": "all"})) == (400, "invalid_limit")


@pytest.mark.parametrize("sign", ["SIGTERM", "SIGKILL"])
def test_the_ledger_survives_a_restart(tmp_path: Path, sign: str) -> None:
    with SandboxProcess(tmp_path) as process:
        with client_of(process) as api:
            charge = post(api, "/v1/charges", BODY, "kept").json()
            post(api, "/v1/charges", {**BODY, "token": "tok_error_then_success"}, "tried")
        if sign == "SIGTERM":
            assert process.stop() == 0
        else:
            process.kill()

        process.start()

        with client_of(process) as api:
            assert api.get(f"/v1/charges/{charge['id']}").json() == charge
            assert post(api, "/v1/charges", BODY, "kept").json() == charge
            second_try = {**BODY, "token": "tok_error_then_success"}
            assert post(api, "/v1/charges", second_try, "tried").status_code == 201


def test_what_was_answered_amid_a_kill_is_in_the_ledger(tmp_path: Path) -> None:
    answered: list[str] = []

    def charge_on(api: httpx.Client) -> None:
        while True:
            key = str(uuid4())
            try:
                response = post(api, "/v1/charges", BODY, key)
            except httpx.TransportError:
                return
            assert response.status_code == 201
            answered.append(key)

    with SandboxProcess(tmp_path) as process:
        with client_of(process) as api, ThreadPoolExecutor(8) as pool:
            for _ in range(8):
                pool.submit(charge_on, api)
            eventually(lambda: len(answered) > 100)
            process.kill()
        process.start()

        kept = {key for (key,) in process.rows("SELECT idempotency_key FROM charges")}

    assert set(answered) <= kept
    assert len(kept) - len(answered) <= 8


def test_sigterm_ends_it_at_once_though_connections_are_held_and_idle(tmp_path: Path) -> None:
    with SandboxProcess(tmp_path) as process:
        port = int(process.url.rpartition(":")[2])
        with (
            client_of(process) as api,
            ThreadPoolExecutor(1) as pool,
            socket.create_connection(("127.0.0.1", port)),
        ):
            held = pool.submit(
                post, api, "/v1/charges", {**BODY, "token": "tok_timeout_success"}, "held"
            )
            eventually(lambda: count(process, "charges") == 1)
            time.sleep(0.1)

            started = time.monotonic()
            assert process.stop() == 0
            assert time.monotonic() - started < 2

            assert isinstance(held.exception(timeout=5), httpx.TransportError)


def test_sigterm_lets_a_request_finish(tmp_path: Path) -> None:
    with (
        SandboxProcess(tmp_path, "--slow-seconds", "1") as process,
        client_of(process) as api,
        ThreadPoolExecutor(1) as pool,
    ):
        slow = pool.submit(post, api, "/v1/charges", {**BODY, "token": "tok_slow"}, "slow")
        time.sleep(0.4)
        os.kill(process.pid, signal.SIGTERM)

        assert slow.result(timeout=5).status_code == 201
        assert process.stop() == 0
        assert count(process, "charges") == 1


def test_it_will_not_start_without_its_secrets(tmp_path: Path) -> None:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("SANDBOX_")
    }

    ended = subprocess.run(
        [sys.executable, "-m", "payments.sandbox", "--ledger", str(tmp_path / "ledger")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert ended.returncode == 1
    assert "SANDBOX_API_KEY must be set" in ended.stderr


def test_it_imports_nothing_of_the_product() -> None:
    program = (
        "import sys, payments.sandbox.__main__;"
        "print(sorted(name for name in sys.modules if name.split('.')[0] in"
        " {'django', 'celery', 'oms', 'orders', 'inventory'}"
        " or name.startswith('payments.') and not name.startswith('payments.sandbox')))"
    )

    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True
    )

    assert ended.stdout.strip() == "[]"


def charge_until_answered(api: httpx.Client, key: str) -> list[int]:
    """Send one charge until its answer is clear; the statuses on the way, 0 for none."""
    statuses: list[int] = []
    while not statuses or statuses[-1] in (0, 500):
        try:
            statuses.append(post(api, "/v1/charges", BODY, key).status_code)
        except httpx.RemoteProtocolError:
            statuses.append(0)
    return statuses


def test_faults_strike_as_often_as_asked_and_still_charge_once(
    tmp_path: Path, receiver: WebhookReceiver
) -> None:
    flags = ("--fault-rate", "0.5", "--fault-seed", "7", "--slow-seconds", "0.01")
    keys = [f"key-{number}" for number in range(120)]
    with (
        SandboxProcess(tmp_path, *flags, "--webhook-url", receiver.url) as process,
        client_of(process) as api,
    ):
        ways = [charge_until_answered(api, key) for key in keys]
        doubled = [
            ids for (ids,) in process.rows("SELECT count(*) FROM webhooks GROUP BY charge_id")
        ]

        assert count(process, "charges") == len(keys)

    statuses = [status for way in ways for status in way]
    assert 0 in statuses
    assert 500 in statuses
    assert [0, 200] in ways  # charged, its answer lost, and the same key again
    assert set(doubled) == {1, 3}


def test_without_a_rate_there_are_no_faults_and_with_a_seed_they_repeat() -> None:
    def struck(faults: Faults) -> list[Fault | None]:
        return [faults.of(kind="charge", key=f"k{n}", attempt=1) for n in range(1000)]

    assert set(struck(Faults())) == {None}
    assert struck(Faults(rate=0.3, seed=1)) == struck(Faults(rate=0.3, seed=1))
    assert struck(Faults(rate=0.3, seed=1)) != struck(Faults(rate=0.3, seed=2))
    assert 230 < sum(fault is not None for fault in struck(Faults(rate=0.3))) < 370
    assert set(struck(Faults(rate=1, kinds=(Fault.ERROR,)))) == {Fault.ERROR}
