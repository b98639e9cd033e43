"""The provider process that the tests of the gateway share, and the gateway to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pytest_django import Settings

from payments.gateways.base import Gateway
from payments.gateways.registry import gateway_for
from payments.tests.sandbox_process import (
    API_KEY,
    WEBHOOK_SECRET,
    SandboxProcess,
    WebhookReceiver,
)

Connect = Callable[[SandboxProcess], Gateway]


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """A provider that holds connections for two seconds and is slow by half a second."""
    folder = tmp_path_factory.mktemp("sandbox")
    with SandboxProcess(folder, "--hold-seconds", "2", "--slow-seconds", "0.5") as process:
        yield process


@pytest.fixture
def connect(settings: Settings) -> Connect:
    """A function that returns the gateway to a provider, with a read timeout of one second."""

    def to(process: SandboxProcess) -> Gateway:
        settings.SANDBOX_PROVIDER_URL = process.url
        settings.SANDBOX_API_KEY = API_KEY
        settings.SANDBOX_WEBHOOK_SECRET = WEBHOOK_SECRET
        settings.GATEWAY_READ_TIMEOUT = 1.0
        return gateway_for("sandbox")

    return to


@pytest.fixture
def gateway(connect: Connect, sandbox: SandboxProcess) -> Gateway:
    """The gateway to the shared provider."""
    return connect(sandbox)


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    """A server that accepts webhooks."""
    with WebhookReceiver() as running:
        yield running
