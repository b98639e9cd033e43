"""The gateway against the real provider process: each token, and each way a call can end."""

from __future__ import annotations

import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import transaction
from pytest_django import Settings

from oms.core.deadline import deadline_in
from oms.core.errors import DeadlineExceeded
from payments.gateways.base import (
    ChargeResult,
    ChargeStatus,
    Gateway,
    GatewayMisconfigured,
    GatewayRejected,
    GatewayUnknownOutcome,
    RefundStatus,
)
from payments.gateways.registry import UnknownProvider, gateway_for
from payments.tests.sandbox_process import SandboxProcess, WebhookReceiver

PRICE = Decimal("12.50")


def charge(
    gateway: Gateway,
    token: str,
    *,
    key: str | None = None,
    amount: Decimal = PRICE,
    capture: bool = True,
) -> ChargeResult:
    return gateway.charge(
        key=key or str(uuid4()),
        amount=amount,
        currency="EUR",
        token=token,
        capture=capture,
        reference="order-1",
    )


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


def test_a_key_used_for_another_amount_is_unknown_and_the_look_up_tells_what_it_made(
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
def test_an_answer_that_never_comes_is_unknown_until_looked_up_or_sent_again(
    gateway: Gateway, sandbox: SandboxProcess, token: str, status: ChargeStatus
) -> None:
    key = str(uuid4())

    started = time.monotonic()
    with pytest.raises(GatewayUnknownOutcome, match="ReadTimeout"):
        charge(gateway, token, key=key)
    waited = time.monotonic() - started

    assert 0.9 < waited < 2.5  # our read timeout, not the provider's three seconds
    started = time.monotonic()
    found = gateway.look_up(key=key)
    assert found is not None
    assert found.status is status
    assert charge(gateway, token, key=key) == found
    assert time.monotonic() - started < 0.9
    assert rows_of(sandbox, key) == 1


def test_a_held_connection_is_closed_without_an_answer_in_the_end(
    gateway: Gateway, settings: Settings
) -> None:
    settings.GATEWAY_READ_TIMEOUT = 10.0

    started = time.monotonic()
    with pytest.raises(GatewayUnknownOutcome, match="RemoteProtocolError"):
        charge(gateway, "tok_timeout_success")

    assert 2.5 < time.monotonic() - started < 6


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


def test_a_slow_answer_within_the_timeout_is_a_result(gateway: Gateway) -> None:
    started = time.monotonic()

    assert charge(gateway, "tok_slow").status is ChargeStatus.CAPTURED

    assert time.monotonic() - started >= 0.5


def test_an_unknown_token_is_rejected_and_charges_nothing(gateway: Gateway) -> None:
    key = str(uuid4())

    with pytest.raises(GatewayRejected) as refusal:
        charge(gateway, "tok_of_nobody", key=key)

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


def test_an_authorisation_is_captured_once_and_its_key_can_be_sent_again(
    gateway: Gateway,
) -> None:
    reference = charge(gateway, "tok_success", capture=False).provider_reference
    key = str(uuid4())

    captured = gateway.capture(key=key, provider_reference=reference, amount=Decimal("10.00"))
    again = gateway.capture(key=key, provider_reference=reference, amount=Decimal("10.00"))

    assert captured.status is ChargeStatus.CAPTURED
    assert (captured.amount, captured.captured_amount) == (PRICE, Decimal("10.00"))
    assert again == captured
    with pytest.raises(GatewayRejected, match="not_authorized"):
        gateway.capture(key=str(uuid4()), provider_reference=reference, amount=Decimal("2.50"))


def test_no_more_is_captured_than_was_authorised(gateway: Gateway) -> None:
    key = str(uuid4())
    authorised = charge(gateway, "tok_success", capture=False, key=key)
    assert authorised.status is ChargeStatus.AUTHORIZED
    assert authorised.captured_amount == 0

    with pytest.raises(GatewayRejected, match="capture_exceeds_authorized"):
        gateway.capture(
            key=str(uuid4()),
            provider_reference=authorised.provider_reference,
            amount=PRICE + Decimal("0.01"),
        )

    assert gateway.look_up(key=key) == authorised


def test_capture_against_void_has_one_winner(gateway: Gateway) -> None:
    key = str(uuid4())
    reference = charge(gateway, "tok_success", capture=False, key=key).provider_reference

    def settle(number: int) -> ChargeStatus | None:
        try:
            if number % 2:
                return gateway.void(key=str(uuid4()), provider_reference=reference).status
            return gateway.capture(
                key=str(uuid4()), provider_reference=reference, amount=PRICE
            ).status
        except GatewayRejected:
            return None

    with ThreadPoolExecutor(10) as pool:
        results = list(pool.map(settle, range(10)))

    [winner] = [status for status in results if status]
    found = gateway.look_up(key=key)
    assert found is not None
    assert found.status is winner


def test_a_voided_authorisation_takes_no_money(gateway: Gateway) -> None:
    reference = charge(gateway, "tok_success", capture=False).provider_reference
    key = str(uuid4())

    voided = gateway.void(key=key, provider_reference=reference)

    assert voided.status is ChargeStatus.VOIDED
    assert voided.captured_amount == 0
    assert gateway.void(key=key, provider_reference=reference) == voided


def test_refunds_are_found_by_their_key_and_add_up_on_the_charge(gateway: Gateway) -> None:
    charge_key, key = str(uuid4()), str(uuid4())
    reference = charge(gateway, "tok_success", key=charge_key).provider_reference
    assert gateway.look_up_refund(key=key) is None

    refund = gateway.refund(
        key=key, provider_reference=reference, amount=Decimal("5.00"), reason="damaged"
    )

    assert refund.status is RefundStatus.SUCCEEDED
    assert (refund.charge_reference, refund.amount) == (reference, Decimal("5.00"))
    assert gateway.look_up_refund(key=key) == refund
    charged = gateway.look_up(key=charge_key)
    assert charged is not None
    assert charged.refunded_amount == Decimal("5.00")


def test_concurrent_refunds_never_exceed_what_was_captured(gateway: Gateway) -> None:
    key = str(uuid4())
    reference = charge(gateway, "tok_success", key=key).provider_reference

    def refund(_: int) -> str:
        try:
            gateway.refund(
                key=str(uuid4()), provider_reference=reference, amount=Decimal("5.00"), reason=""
            )
        except GatewayRejected as refusal:
            return refusal.code
        return "refunded"

    with ThreadPoolExecutor(10) as pool:
        results = sorted(pool.map(refund, range(10)))

    assert results == ["refund_exceeds_captured"] * 8 + ["refunded"] * 2
    charged = gateway.look_up(key=key)
    assert charged is not None
    assert charged.refunded_amount == Decimal("10.00")


def test_a_failed_refund_is_a_result_and_moves_no_money(gateway: Gateway) -> None:
    key = str(uuid4())
    reference = charge(gateway, "tok_refund_fails", key=key).provider_reference

    refund = gateway.refund(
        key=str(uuid4()), provider_reference=reference, amount=PRICE, reason="cancelled"
    )

    assert refund.status is RefundStatus.FAILED
    charged = gateway.look_up(key=key)
    assert charged is not None
    assert charged.refunded_amount == 0


def test_a_look_up_of_a_key_that_the_provider_does_not_know_is_none(gateway: Gateway) -> None:
    assert gateway.look_up(key=str(uuid4())) is None


def test_the_ledger_lists_every_charge_over_all_pages(
    gateway: Gateway, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {str(uuid4()) for _ in range(5)}
    for key in made:
        charge(gateway, "tok_success", key=key)
    monkeypatch.setattr("payments.gateways.sandbox._PAGE", "2")

    entries = [entry for entry in gateway.ledger() if entry.key in made]

    assert {entry.key for entry in entries} == made
    assert [entry.charge.captured_amount for entry in entries] == [PRICE] * 5


def test_a_refused_connection_is_an_unknown_outcome(gateway: Gateway, settings: Settings) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        settings.SANDBOX_PROVIDER_URL = f"http://127.0.0.1:{closed.getsockname()[1]}"

        with pytest.raises(GatewayUnknownOutcome, match="ConnectError"):
            charge(gateway, "tok_success")


def test_a_wrong_api_key_is_a_matter_of_configuration(gateway: Gateway, settings: Settings) -> None:
    settings.SANDBOX_API_KEY = "wrong"

    with pytest.raises(GatewayMisconfigured):
        charge(gateway, "tok_success")


def test_a_wrong_address_is_a_matter_of_configuration(gateway: Gateway, settings: Settings) -> None:
    settings.SANDBOX_PROVIDER_URL += "/somewhere/else"
    with pytest.raises(GatewayMisconfigured):
        charge(gateway, "tok_success")

    settings.SANDBOX_PROVIDER_URL = "ftp://provider"
    with pytest.raises(GatewayMisconfigured):
        charge(gateway, "tok_success")


@pytest.mark.parametrize("status", [302, 404, 429, 200])
def test_an_answer_that_is_not_in_the_providers_words_is_no_verdict(
    gateway: Gateway, settings: Settings, receiver: WebhookReceiver, status: int
) -> None:
    settings.SANDBOX_PROVIDER_URL = receiver.url
    receiver.answers = [status]

    with pytest.raises(GatewayUnknownOutcome):
        charge(gateway, "tok_success")

    assert len(receiver.received) == 1


def test_the_deadline_shortens_the_wait_for_an_answer(gateway: Gateway) -> None:
    started = time.monotonic()

    with deadline_in(seconds=0.3), pytest.raises(GatewayUnknownOutcome):
        charge(gateway, "tok_timeout_success")

    assert time.monotonic() - started < 0.8


def test_past_the_deadline_nothing_is_sent(gateway: Gateway) -> None:
    key = str(uuid4())

    with deadline_in(seconds=0), pytest.raises(DeadlineExceeded):
        charge(gateway, "tok_success", key=key)

    assert gateway.look_up(key=key) is None


def test_an_amount_with_a_fraction_of_a_cent_is_never_sent(gateway: Gateway) -> None:
    with pytest.raises(ValueError, match="hundredths"):
        charge(gateway, "tok_success", amount=Decimal("1.005"))


@pytest.mark.django_db
def test_a_call_inside_a_transaction_is_refused(gateway: Gateway) -> None:
    with transaction.atomic(), pytest.raises(RuntimeError, match="transaction"):
        charge(gateway, "tok_success")
    with transaction.atomic(), pytest.raises(RuntimeError, match="transaction"):
        next(gateway.ledger())


def test_an_unknown_provider_has_no_gateway() -> None:
    with pytest.raises(UnknownProvider, match="paypenny"):
        gateway_for("paypenny")


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_charges_over_a_connection_of_its_own(gateway: Gateway) -> None:
    charge(gateway, "tok_success")  # the parent's pool now holds an open connection
    key = str(uuid4())

    child = os.fork()
    if not child:
        status = 1
        try:
            status = 0 if charge(gateway, "tok_success", key=key) else 1
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert gateway.look_up(key=key) is not None
    assert charge(gateway, "tok_success").status is ChargeStatus.CAPTURED
