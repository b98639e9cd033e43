"""Captures, voids and refunds through the gateway at the real provider process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from uuid import uuid4

import pytest

from payments.gateways.base import (
    ChargeStatus,
    Gateway,
    GatewayRejected,
    RefundStatus,
)
from payments.tests.sandbox_process import PRICE, SandboxProcess, charge


def test_an_authorisation_is_captured_once_and_its_key_can_be_sent_again(
    gateway: Gateway,
) -> None:
    reference = charge(gateway, "tok_success", capture=False).provider_reference
    key = str(uuid4())

    captured = gateway.capture(
        key=key, provider_reference=reference, amount=Decimal("10.00"), currency="EUR"
    )
    again = gateway.capture(
        key=key, provider_reference=reference, amount=Decimal("10.00"), currency="EUR"
    )

    assert captured.status is ChargeStatus.CAPTURED
    assert (captured.amount, captured.captured_amount) == (PRICE, Decimal("10.00"))
    assert again == captured
    with pytest.raises(GatewayRejected, match="not_authorized"):
        gateway.capture(
            key=str(uuid4()), provider_reference=reference, amount=Decimal("2.50"), currency="EUR"
        )


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
            currency="EUR",
        )

    assert gateway.look_up(key=key) == authorised


def test_capture_against_void_has_one_winner(gateway: Gateway) -> None:
    key = str(uuid4())
    reference = charge(gateway, "tok_success", capture=False, key=key).provider_reference

    def capture_or_void(number: int) -> ChargeStatus | None:
        try:
            if number % 2:
                return gateway.void(key=str(uuid4()), provider_reference=reference).status
            return gateway.capture(
                key=str(uuid4()), provider_reference=reference, amount=PRICE, currency="EUR"
            ).status
        except GatewayRejected:
            return None

    with ThreadPoolExecutor(10) as pool:
        results = list(pool.map(capture_or_void, range(10)))

    [winner] = [status for status in results if status]
    found = gateway.look_up(key=key)
    assert found is not None
    assert found.status is winner


def test_a_voided_authorisation_captures_nothing(gateway: Gateway) -> None:
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
        key=key,
        provider_reference=reference,
        amount=Decimal("5.00"),
        currency="EUR",
        reason="damaged",
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
                key=str(uuid4()),
                provider_reference=reference,
                amount=Decimal("5.00"),
                currency="EUR",
                reason="",
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


def test_a_failed_refund_is_a_result_and_refunds_nothing(gateway: Gateway) -> None:
    key = str(uuid4())
    reference = charge(gateway, "tok_refund_fails", key=key).provider_reference

    refund = gateway.refund(
        key=str(uuid4()),
        provider_reference=reference,
        amount=PRICE,
        currency="EUR",
        reason="cancelled",
    )

    assert refund.status is RefundStatus.FAILED
    charged = gateway.look_up(key=key)
    assert charged is not None
    assert charged.refunded_amount == 0


@pytest.mark.parametrize(
    ("currency", "amount", "part", "units"),
    [
        ("JPY", "1200", "1", (1200, 1200, 1)),
        ("ISK", "1200", "1", (1200, 1200, 1)),
        ("KWD", "12.500", "0.005", (12500, 12500, 5)),
        ("HUF", "1200.00", "0.01", (120000, 120000, 1)),
    ],
)
def test_amounts_are_sent_and_read_in_the_minor_units_of_their_currency(
    gateway: Gateway,
    sandbox: SandboxProcess,
    currency: str,
    amount: str,
    part: str,
    units: tuple[int, int, int],
) -> None:
    whole, key = Decimal(amount), str(uuid4())
    authorised = charge(
        gateway, "tok_success", key=key, amount=whole, currency=currency, capture=False
    )
    reference = authorised.provider_reference

    captured = gateway.capture(
        key=key, provider_reference=reference, amount=whole, currency=currency
    )
    refund = gateway.refund(
        key=key,
        provider_reference=reference,
        amount=Decimal(part),
        currency=currency,
        reason="damaged",
    )

    assert (str(authorised.amount), str(authorised.captured_amount)) == (
        amount,
        str(whole - whole),
    )
    assert (str(captured.captured_amount), captured.currency) == (amount, currency)
    assert str(refund.amount) == part
    assert refund == gateway.look_up_refund(key=key)
    after = gateway.look_up(key=key)
    assert after is not None
    assert str(after.refunded_amount) == part
    assert sandbox.rows(
        "SELECT amount, captured_amount, refunded_amount FROM charges WHERE id = ?", reference
    ) == [units]
