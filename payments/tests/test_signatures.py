"""Signatures of webhooks against the Standard Webhooks specification."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from payments.signatures import InvalidSignature, sign, verify

# The example that the reference libraries of Standard Webhooks are tested with.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
TIMESTAMP = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

NOW = datetime.fromtimestamp(TIMESTAMP, UTC)
HEADERS = {
    "Webhook-Id": ID,
    "webhook-timestamp": str(TIMESTAMP),
    "WEBHOOK-SIGNATURE": SIGNATURE,
}


def test_the_example_of_the_specification_is_signed_alike() -> None:
    assert sign(secret=SECRET, id=ID, timestamp=TIMESTAMP, body=BODY) == SIGNATURE


def test_a_valid_webhook_gives_its_id() -> None:
    assert verify(secret=SECRET, headers=HEADERS, body=BODY, now=NOW) == ID


def test_one_matching_signature_of_several_is_enough() -> None:
    headers = {**HEADERS, "WEBHOOK-SIGNATURE": f"v1a,AAAA v1,AAAA {SIGNATURE} v1,é"}

    assert verify(secret=SECRET, headers=headers, body=BODY, now=NOW) == ID


def test_a_secret_without_prefix_is_taken_as_it_is() -> None:
    headers = {
        **HEADERS,
        "WEBHOOK-SIGNATURE": sign(secret="plain_-text", id=ID, timestamp=TIMESTAMP, body=BODY),
    }

    assert verify(secret="plain_-text", headers=headers, body=BODY, now=NOW) == ID
    with pytest.raises(InvalidSignature):
        verify(secret="plain_-test", headers=headers, body=BODY, now=NOW)


@pytest.mark.parametrize("seconds", [-300, 300])
def test_five_minutes_early_or_late_are_tolerated(seconds: int) -> None:
    now = NOW + timedelta(seconds=seconds)

    assert verify(secret=SECRET, headers=HEADERS, body=BODY, now=now) == ID


@pytest.mark.parametrize("seconds", [-301, 301])
def test_more_than_five_minutes_are_refused(seconds: int) -> None:
    with pytest.raises(InvalidSignature, match="timestamp"):
        verify(secret=SECRET, headers=HEADERS, body=BODY, now=NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    "changed",
    [
        {"Webhook-Id": "msg_another"},
        {"Webhook-Id": ""},
        {"webhook-timestamp": str(TIMESTAMP + 1)},
        {"webhook-timestamp": f"{TIMESTAMP}.0"},
        {"webhook-timestamp": "-1614265330"},
        {"webhook-timestamp": "٣"},
        {"webhook-timestamp": "9" * 400},
        {"webhook-timestamp": ""},
        {"WEBHOOK-SIGNATURE": ""},
        {"WEBHOOK-SIGNATURE": SIGNATURE.removeprefix("v1,")},
        {"WEBHOOK-SIGNATURE": SIGNATURE.replace("v1,", "v2,")},
        {"WEBHOOK-SIGNATURE": SIGNATURE[:-2]},
        {"WEBHOOK-SIGNATURE": "\udcff"},
    ],
)
def test_a_changed_header_is_refused(changed: dict[str, str]) -> None:
    with pytest.raises(InvalidSignature):
        verify(secret=SECRET, headers={**HEADERS, **changed}, body=BODY, now=NOW)


def test_missing_headers_are_refused() -> None:
    with pytest.raises(InvalidSignature):
        verify(secret=SECRET, headers={}, body=BODY, now=NOW)


def test_a_changed_body_is_refused() -> None:
    with pytest.raises(InvalidSignature):
        verify(secret=SECRET, headers=HEADERS, body=BODY + b" ", now=NOW)


def test_a_prefixed_secret_that_is_not_base64_is_an_error_of_ours() -> None:
    with pytest.raises(ValueError, match="base64"):
        verify(secret="whsec_not base64", headers=HEADERS, body=BODY, now=NOW)
