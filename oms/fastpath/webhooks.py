"""Webhooks of payment providers on the hot lane: many in one transaction.

Nobody waits for them, and most tell what is known. What is not in good order, and whatever else
goes wrong, is left to Django, which says why; a provider that hears nothing good sends it again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.urls import resolve

from oms.core import clock
from oms.core.errors import OperationError
from oms.fastpath.access_log import count, line_of, write
from oms.fastpath.connections import log_failure
from oms.fastpath.dispatch import fixed_headers, is_usual
from oms.fastpath.types import FastPathAnswer, FastPathRequest
from oms.http.middleware.context import sane_request_id
from payments.gateways.registry import UnknownProvider
from payments.operations.webhooks import Webhook, apply_webhooks, read_webhook

log = structlog.get_logger(__name__)

# How long, in seconds, webhooks gather: the first is taken at once, and those of the next fifth of
# a second share a transaction. Providers wait for many seconds.
GATHERING = 0.2
_PATH = "/api/v1/payments/webhooks/"


@dataclass(frozen=True, kw_only=True, slots=True)
class HotWebhook:
    """A webhook with a good signature; `begun` is on the clock of time.perf_counter."""

    begun: float
    request: FastPathRequest
    request_id: str
    webhook: Webhook


def is_webhook(method: str, path: str) -> bool:
    """Whether such a request is one."""
    return method == "POST" and path.startswith(_PATH)


def accept_webhook(request: FastPathRequest) -> HotWebhook | None:
    """The webhook that `request` brings; None if it is left to Django."""
    begun = time.perf_counter()
    if request.query or len(request.body) > settings.API_BODY_LIMIT or not is_usual(request):
        return None
    try:
        webhook = read_webhook(
            provider=request.path.removeprefix(_PATH),
            headers=request.headers,
            body=request.body,
            now=clock.now(),
        )
    except (OperationError, UnknownProvider):
        return None
    return HotWebhook(
        begun=begun,
        request=request,
        request_id=sane_request_id(request.headers.get("x-request-id", "")),
        webhook=webhook,
    )


def hear(calls: Sequence[HotWebhook]) -> list[FastPathAnswer | None]:
    """Let the webhooks take effect; None for all of them if one of them cannot."""
    try:
        apply_webhooks(webhooks=[call.webhook for call in calls], now=clock.now())
    except Exception as error:  # one that nobody can store must not hold up the others
        log_failure(error, calls=len(calls))
        return [None] * len(calls)
    try:
        _tell(calls)
    except Exception:  # such as a log that cannot be written to: what is done is done
        log.exception("requests_not_told")
    return [_taken(call) for call in calls]


def _taken(call: HotWebhook) -> FastPathAnswer:
    headers = {**fixed_headers(call.request), "Allow": "POST", "X-Request-ID": call.request_id}
    return FastPathAnswer(status=204, headers=headers)


def _tell(calls: Sequence[HotWebhook]) -> None:
    now = time.perf_counter()
    lines = []
    for call in calls:
        match, seconds = resolve(call.request.path), now - call.begun
        count(view=match.view_name, request=call.request, status=204, seconds=seconds)
        lines.append(
            line_of(
                call.request,
                route=match.route,
                status=204,
                seconds=seconds,
                request_id=call.request_id,
            )
        )
    write(lines)
