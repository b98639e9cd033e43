"""Charging through the gateway at the real provider process, with each token."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from pytest_django import Settings

from payments.gateways.base import (
    ChargeStatus,
    Gateway,
    GatewayRejected,
    GatewayUnknownOutcome,
)
from payments.gateways.sandbox import SandboxGateway
from payments.tests.sandbox_process import PRICE, SandboxProcess, charge


def rows_of(sandbox: SandboxProcess, key: str) -> int:
    [(count,)] = sandbox.rows("SELECT count(*) FROM charges WHERE idempotency_key = ?", key)
    return int(count)


def test_success_captures_the_whole_amount(gateway: Gateway) -> None:
    result = charge(gateway, "tok_success")

    assert result.status is ChargeStatus.CAPTURED
    assert (result.amount, result.currency) == (PRICE, "EUR")
    assert result.captured_amount == PRICE
    assert result.refunded_amount == 0
    assert result.decline_code == ""
    assert result.provider_reference


@pytest.mark.parametrize(
    ("token", "code"),
    [("tok_declined", "card_declined"), ("tok_insufficient_funds", "insufficient_funds")],
)
def test_a_decline_is_a_final_result_with_its_code(gateway: Gateway, token: str, code: str) -> None:
    key = str(uuid4())

    first = charge(gateway, token, key=key)
    again = charge(gateway, token, key=key)

    assert first.status is ChargeStatus.DECLINED
    assert first.decline_code == code
    assert first.decline_message
    assert first.captured_amount == 0
    assert again == first


def test_the_same_key_again_gives_the_same_charge(
    gateway: Gateway, sandbox: SandboxProcess
) -> None:
    key = str(uuid4())

    assert charge(gateway, "tok_success", key=key) == charge(gateway, "tok_success", key=key)
    assert rows_of(sandbox, key) == 1


def test_a_key_reused_for_another_amount_is_unknown_and_the_look_up_returns_the_charge(
    gateway: Gateway,
) -> None:
    key = str(uuid4())
    first = charge(gateway, "tok_success", key=key)

    with pytest.raises(GatewayUnknownOutcome, match="idempotency_key_reused"):
        charge(gateway, "tok_success", key=key, amount=PRICE + 1)

    assert gateway.look_up(key=key) == first


def test_error_then_success_records_nothing_on_the_first_try(gateway: Gateway) -> None:
    key = str(uuid4())

    with pytest.raises(GatewayUnknownOutcome, match="503"):
        charge(gateway, "tok_error_then_success", key=key)
    assert gateway.look_up(key=key) is None

    assert charge(gateway, "tok_error_then_success", key=key).status is ChargeStatus.CAPTURED


@pytest.mark.parametrize(
    ("token", "status"),
    [
        ("tok_timeout_success", ChargeStatus.CAPTURED),
        ("tok_timeout_declined", ChargeStatus.DECLINED),
    ],
)
def test_a_charge_without_response_is_unknown_until_looked_up_or_sent_again(
    gateway: Gateway, sandbox: SandboxProcess, token: str, status: ChargeStatus
) -> None:
    key = str(uuid4())

    started = time.monotonic()
    with pytest.raises(GatewayUnknownOutcome, match="ReadTimeout"):
        charge(gateway, token, key=key)
    waited = time.monotonic() - started

    assert 0.9 < waited < 2.5  # our read timeout, not the provider's two seconds
    started = time.monotonic()
    found = gateway.look_up(key=key)
    assert found is not None
    assert found.status is status
    assert charge(gateway, token, key=key) == found
    assert time.monotonic() - started < 0.9
    assert rows_of(sandbox, key) == 1


def test_a_held_connection_is_closed_without_a_response_in_the_end(
    gateway: Gateway, settings: Settings
) -> None:
    settings.GATEWAY_READ_TIMEOUT = 10.0

    started = time.monotonic()
    with pytest.raises(GatewayUnknownOutcome, match="ProtocolError"):
        charge(gateway, "tok_timeout_success")

    assert 1.5 < time.monotonic() - started < 5


def test_held_connections_do_not_block_other_requests(gateway: Gateway) -> None:
    def hold() -> str:
        with pytest.raises(GatewayUnknownOutcome):
            charge(gateway, "tok_timeout_success")
        return "held"

    with ThreadPoolExecutor(20) as pool:
        held = [pool.submit(hold) for _ in range(20)]
        time.sleep(0.3)
        started = time.monotonic()
        assert charge(gateway, "tok_success").status is ChargeStatus.CAPTURED
        waited = time.monotonic() - started

        assert not any(future.done() for future in held)
        assert waited < 0.5
        assert [future.result() for future in held] == ["held"] * 20


def test_a_slow_response_within_the_timeout_is_a_result(gateway: Gateway) -> None:
    started = time.monotonic()

    assert charge(gateway, "tok_slow").status is ChargeStatus.CAPTURED

    assert time.monotonic() - started >= 0.5


def test_an_unknown_token_is_rejected_and_charges_nothing(gateway: Gateway) -> None:
    key = str(uuid4())

    with pytest.raises(GatewayRejected) as refusal:
        charge(gateway, "tok_not_known", key=key)

    assert refusal.value.code == "unknown_token"
    assert gateway.look_up(key=key) is None


def test_fifty_concurrent_charges_with_one_key_charge_once(
    gateway: Gateway, sandbox: SandboxProcess
) -> None:
    key = str(uuid4())

    with ThreadPoolExecutor(50) as pool:
        results = list(
            pool.map(lambda _: charge(gateway, "tok_slow", key=key), range(50), timeout=30)
        )

    assert len(set(results)) == 1
    assert rows_of(sandbox, key) == 1


def test_fifty_concurrent_charges_with_fifty_keys_charge_fifty_times(
    gateway: Gateway,
) -> None:
    with ThreadPoolExecutor(50) as pool:
        results = list(
            pool.map(lambda _: charge(gateway, "tok_slow").provider_reference, range(50))
        )

    assert len(set(results)) == 50


def test_a_look_up_of_a_key_that_the_provider_does_not_know_is_none(gateway: Gateway) -> None:
    assert gateway.look_up(key=str(uuid4())) is None


def test_the_ledger_lists_every_charge_over_all_pages(
    gateway: Gateway, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {str(uuid4()) for _ in range(5)}
    for key in made:
        charge(gateway, "tok_success", key=key)
    monkeypatch.setattr(SandboxGateway, "page_size", 2)

    entries = [entry for entry in gateway.ledger() if entry.key in made]

    assert {entry.key for entry in entries} == made
    assert [entry.charge.captured_amount for entry in entries] == [PRICE] * 5
