"""The payment providers."""

from __future__ import annotations

from payments.gateways.base import Gateway, GatewayMisconfigured
from payments.gateways.sandbox import SandboxGateway

GATEWAYS: dict[str, Gateway] = {
    "sandbox": SandboxGateway(),
}


class UnknownProvider(GatewayMisconfigured):
    """There is no payment provider of that name."""


def gateway_for(provider: str) -> Gateway:
    """The gateway to that provider. Raises UnknownProvider."""
    try:
        return GATEWAYS[provider]
    except KeyError:
        raise UnknownProvider(f"There is no payment provider called {provider!r}.") from None
