"""How the gateway classifies calls that fail."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
import threading
import time
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from django.db import transaction
from pytest_django import Settings

from oms.core.deadline import deadline_in
from oms.core.errors import DeadlineExceeded
from payments.gateways.base import (
    ChargeStatus,
    Gateway,
    GatewayMisconfigured,
    GatewayUnknownOutcome,
)
from payments.gateways.registry import UnknownProvider, gateway_for
from payments.tests.sandbox_process import WebhookReceiver, charge


def test_a_refused_connection_is_an_unknown_outcome(gateway: Gateway, settings: Settings) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        settings.SANDBOX_PROVIDER_URL = f"http://127.0.0.1:{closed.getsockname()[1]}"

        with pytest.raises(GatewayUnknownOutcome, match="NewConnectionError"):
            charge(gateway, "tok_success")


def test_providers_are_called_without_the_proxies_of_the_environment(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert charge(gateway, "tok_success").status is ChargeStatus.CAPTURED


def test_nothing_is_sent_to_a_provider_with_an_untrusted_certificate(
    gateway: Gateway, settings: Settings, tmp_path: Path
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    options = "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost"
    subprocess.run(
        ["openssl", *options.split(), "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    received: list[bytes] = []

    def serve(server: socket.socket) -> None:
        connection, _ = server.accept()
        with (
            connection,
            contextlib.suppress(OSError),
            context.wrap_socket(connection, server_side=True) as secured,
        ):
            received.append(secured.recv(1))

    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.SANDBOX_PROVIDER_URL = f"https://localhost:{server.getsockname()[1]}"
        serving = threading.Thread(target=serve, args=[server])
        serving.start()
        with pytest.raises(GatewayUnknownOutcome, match="SSLError"):
            charge(gateway, "tok_success")
        serving.join()

    assert received == []


def test_a_wrong_api_key_is_a_misconfiguration(gateway: Gateway, settings: Settings) -> None:
    settings.SANDBOX_API_KEY = "wrong"

    with pytest.raises(GatewayMisconfigured):
        charge(gateway, "tok_success")


def test_a_wrong_url_is_a_misconfiguration(gateway: Gateway, settings: Settings) -> None:
    settings.SANDBOX_PROVIDER_URL += "/somewhere/else"
    with pytest.raises(GatewayMisconfigured):
        charge(gateway, "tok_success")

    settings.SANDBOX_PROVIDER_URL = "ftp://provider"
    with pytest.raises(GatewayMisconfigured):
        charge(gateway, "tok_success")


@pytest.mark.parametrize("status", [302, 404, 429, 200])
def test_a_response_that_is_not_the_providers_is_an_unknown_outcome(
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
    with pytest.raises(ValueError, match="minor units"):
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
