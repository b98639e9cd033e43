"""Runs the sandbox payment provider until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from pathlib import Path

import uvloop
from aiohttp import web

from payments.sandbox.api import Api
from payments.sandbox.by_hand import LedgerByHand
from payments.sandbox.faults import Fault, Faults
from payments.sandbox.provider import Provider
from payments.sandbox.webhooks import WebhookDispatcher

log = logging.getLogger("payments.sandbox")

# Seconds that requests, and then deliveries, in flight get to finish.
_REQUESTS_GRACE, _DELIVERIES_GRACE = 4.0, 1.0
_BACKLOG = 512


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 <= rate <= 1:
        raise argparse.ArgumentTypeError("a number from 0 to 1")
    return rate


def _kinds(text: str) -> tuple[Fault, ...]:
    try:
        return tuple(Fault(kind) for kind in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"some of {', '.join(Fault)}") from error


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m payments.sandbox",
        description="A payment provider for development. Secrets are read from the environment:"
        " SANDBOX_API_KEY and SANDBOX_WEBHOOK_SECRET.",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001, help="0 is any free port")
    parser.add_argument("--ledger", type=Path, required=True, help="SQLite file; made if missing")
    parser.add_argument("--webhook-url", default="", help="where webhooks are sent; none if ''")
    parser.add_argument(
        "--webhook-retry-seconds",
        type=float,
        default=0.5,
        help="pause after the first failed delivery; doubled each time, to a minute",
    )
    parser.add_argument(
        "--hold-seconds", type=float, default=20.0, help="how long tok_timeout_* stay unanswered"
    )
    parser.add_argument("--slow-seconds", type=float, default=3.0, help="how late tok_slow is")
    parser.add_argument(
        "--fault-rate", type=_rate, default=0.0, help="share of writes that go wrong, 0 to 1"
    )
    parser.add_argument("--fault-kinds", type=_kinds, default=tuple(Fault), help=",".join(Fault))
    parser.add_argument("--fault-seed", type=int, default=0)
    parser.add_argument("--log-level", default="INFO")
    return parser.parse_args()


def _secret(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        sys.exit(f"{name} must be set in the environment.")
    return value


def main() -> None:
    arguments = _arguments()
    logging.basicConfig(level=arguments.log_level.upper(), format="%(levelname)s %(message)s")
    api_key, webhook_secret = _secret("SANDBOX_API_KEY"), _secret("SANDBOX_WEBHOOK_SECRET")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(arguments, api_key=api_key, webhook_secret=webhook_secret))


async def _serve(arguments: argparse.Namespace, *, api_key: str, webhook_secret: str) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    ledger = LedgerByHand(arguments.ledger, sends_webhooks=bool(arguments.webhook_url))
    provider = Provider(
        ledger=ledger,
        faults=Faults(
            rate=arguments.fault_rate, kinds=arguments.fault_kinds, seed=arguments.fault_seed
        ),
        slow_seconds=arguments.slow_seconds,
        hold_seconds=arguments.hold_seconds,
    )
    api = Api(provider=provider, ledger=ledger, api_key=api_key)
    dispatcher = WebhookDispatcher(
        outbox=ledger.outbox,
        url=arguments.webhook_url,
        secret=webhook_secret,
        first_pause=arguments.webhook_retry_seconds,
    )
    delivering = asyncio.create_task(dispatcher.run()) if arguments.webhook_url else None
    runner = web.AppRunner(
        api.application(), access_log_format="%r %s %Tf s", shutdown_timeout=_REQUESTS_GRACE
    )
    await runner.setup()
    await web.TCPSite(runner, arguments.host, arguments.port, backlog=_BACKLOG).start()
    log.info("listening on http://%s:%d", *runner.addresses[0][:2])

    await stopping.wait()
    await runner.cleanup()
    if delivering is not None:
        dispatcher.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(delivering, _DELIVERIES_GRACE)
    ledger.close()
    log.info("stopped")


if __name__ == "__main__":
    main()
