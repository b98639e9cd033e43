"""The provider as a process: restarts, signals and faults."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from payments.sandbox.faults import Fault, Faults
from payments.tests.sandbox_process import SandboxProcess, WebhookReceiver, eventually
from payments.tests.sandbox_wire import BODY, client_of, count, post


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


def test_acknowledged_writes_survive_a_kill(tmp_path: Path) -> None:
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


def test_sigterm_ends_it_at_once_despite_held_and_idle_connections(tmp_path: Path) -> None:
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
        assert "Traceback" not in (tmp_path / "provider.log").read_text()


def test_a_request_finishes_despite_sigterm_and_ctrl_c(tmp_path: Path) -> None:
    with (
        SandboxProcess(tmp_path, "--slow-seconds", "1") as process,
        client_of(process) as api,
        ThreadPoolExecutor(1) as pool,
    ):
        slow = pool.submit(post, api, "/v1/charges", {**BODY, "token": "tok_slow"}, "slow")
        time.sleep(0.4)
        os.kill(process.pid, signal.SIGTERM)
        time.sleep(0.1)
        os.kill(process.pid, signal.SIGINT)

        assert slow.result(timeout=5).status_code == 201
        assert process.wait() == 0
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
    """Send one charge until its response is clear; the statuses, 0 for none."""
    statuses: list[int] = []
    while not statuses or statuses[-1] in (0, 500):
        try:
            statuses.append(post(api, "/v1/charges", BODY, key).status_code)
        except httpx.RemoteProtocolError:
            statuses.append(0)
    return statuses


def test_faults_occur_at_their_rate_and_still_charge_once(
    tmp_path: Path, receiver: WebhookReceiver
) -> None:
    flags = ("--fault-rate", "0.5", "--fault-seed", "7", "--slow-seconds", "0.01")
    keys = [f"key-{number}" for number in range(120)]
    with (
        SandboxProcess(tmp_path, *flags, "--webhook-url", receiver.url) as process,
        client_of(process) as api,
    ):
        attempts = [charge_until_answered(api, key) for key in keys]
        doubled = [
            ids for (ids,) in process.rows("SELECT count(*) FROM webhooks GROUP BY charge_id")
        ]

        assert count(process, "charges") == len(keys)

    all_statuses = [status for statuses in attempts for status in statuses]
    assert 0 in all_statuses
    assert 500 in all_statuses
    assert [0, 200] in attempts  # charged, its response lost, and the same key again
    assert set(doubled) == {1, 3}


def test_faults_need_a_rate_and_repeat_with_their_seed() -> None:
    def faults_of(faults: Faults) -> list[Fault | None]:
        return [faults.of(kind="charge", key=f"k{n}", attempt=1) for n in range(1000)]

    assert set(faults_of(Faults())) == {None}
    assert faults_of(Faults(rate=0.3, seed=1)) == faults_of(Faults(rate=0.3, seed=1))
    assert faults_of(Faults(rate=0.3, seed=1)) != faults_of(Faults(rate=0.3, seed=2))
    assert 230 < sum(fault is not None for fault in faults_of(Faults(rate=0.3))) < 370
    assert set(faults_of(Faults(rate=1, kinds=(Fault.ERROR,)))) == {Fault.ERROR}
