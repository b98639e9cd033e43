"""The provider's HTTP API.

All requests but GET /health need `Authorization: Bearer <key>`, and writes an `Idempotency-Key`.
The same key with the same body returns the same object again; keys of charges, captures, voids and
refunds are separate.

Without a key, and not for shops, is what people do at the provider: POST
/v1/charges/{id}/disputes, /v1/disputes/{id}/close and /v1/charges/{id}/overwrite.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import re
from functools import partial
from typing import TypeAlias

from aiohttp import web
from aiohttp.typedefs import Handler

from payments.sandbox.by_hand import LedgerByHand
from payments.sandbox.errors import ApiError
from payments.sandbox.objects import Object
from payments.sandbox.provider import Provider
from payments.sandbox.requests import (
    DecisionBody,
    DisputeBody,
    Kind,
    OverwriteBody,
    parse_body,
    parse_write,
)

log = logging.getLogger(__name__)

_BODY_LIMIT = 64 * 1024
_PAGE_SIZE, _MAX_PAGE_SIZE = 100, 1000
_CODES = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}

Request: TypeAlias = web.Request
Response: TypeAlias = web.StreamResponse


class Api:
    """The API of `provider` and its ledger, as an aiohttp application."""

    def __init__(self, *, provider: Provider, ledger: LedgerByHand, api_key: str) -> None:
        self._provider = provider
        self._ledger = ledger
        self._authorization = f"Bearer {api_key}".encode()
        self._stopping = asyncio.Event()

    def application(self) -> web.Application:
        """The application, to be served once."""
        application = web.Application(
            middlewares=[_errors_as_json, self._authenticated], client_max_size=_BODY_LIMIT
        )
        charge = r"/v1/charges/{charge_id:\w+}"
        application.add_routes(
            [
                web.get("/health", self._health),
                web.get("/v1/charges", self._find_charges),
                web.get(charge, self._show_charge),
                web.get("/v1/refunds", self._find_refunds),
                web.get("/v1/disputes", self._find_disputes),
                web.get("/v1/ledger", self._show_ledger),
                web.post("/v1/charges", partial(self._write, kind="charge")),
                web.post(f"{charge}/capture", partial(self._write, kind="capture")),
                web.post(f"{charge}/void", partial(self._write, kind="void")),
                web.post("/v1/refunds", partial(self._write, kind="refund")),
                web.post(f"{charge}/disputes", self._open_dispute),
                web.post(r"/v1/disputes/{dispute_id:\w+}/close", self._close_dispute),
                web.post(f"{charge}/overwrite", self._overwrite_charge),
            ]
        )
        application.on_shutdown.append(self._stop)
        return application

    async def _stop(self, application: web.Application) -> None:
        """Close the connections that are held without a response."""
        self._stopping.set()

    @web.middleware
    async def _authenticated(self, request: Request, handler: Handler) -> Response:
        authorization = request.headers.get("Authorization", "").encode("utf-8", "replace")
        if request.path != "/health" and not hmac.compare_digest(
            authorization, self._authorization
        ):
            raise ApiError(401, "unauthorized", "The API key is missing or wrong.")
        return await handler(request)

    async def _write(self, request: Request, *, kind: Kind) -> Response:
        outcome = await self._provider.execute(
            parse_write(
                kind=kind,
                key=request.headers.get("Idempotency-Key", ""),
                body=await request.read(),
                charge_id=request.match_info.get("charge_id", ""),
            )
        )
        if outcome.drop_after is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(outcome.drop_after):
                    await self._stopping.wait()
            if request.transport is not None:
                log.info("closing a connection without a response")
                request.transport.abort()
        headers = {"Idempotent-Replayed": "true"} if outcome.is_replayed else None
        return web.json_response(outcome.body, status=outcome.status, headers=headers)

    async def _health(self, request: Request) -> Response:
        return web.json_response({"status": "ok"})

    async def _show_charge(self, request: Request) -> Response:
        return web.json_response(self._ledger.charge(request.match_info["charge_id"]))

    async def _find_charges(self, request: Request) -> Response:
        return _list(self._ledger.find("charge", _queried_key(request)))

    async def _find_refunds(self, request: Request) -> Response:
        if charge_id := request.query.get("charge_id"):
            return web.json_response({"data": self._ledger.refunds_of(charge_id)})
        return _list(self._ledger.find("refund", _queried_key(request)))

    async def _find_disputes(self, request: Request) -> Response:
        charge_id = request.query.get("charge_id", "")
        return web.json_response({"data": self._ledger.disputes_of(charge_id)})

    async def _open_dispute(self, request: Request) -> Response:
        body = parse_body(await request.read(), DisputeBody)
        dispute = self._ledger.open_dispute(request.match_info["charge_id"], body)
        return web.json_response(dispute, status=201)

    async def _close_dispute(self, request: Request) -> Response:
        body = parse_body(await request.read(), DecisionBody)
        dispute_id = request.match_info["dispute_id"]
        return web.json_response(self._ledger.close_dispute(dispute_id, outcome=body.outcome))

    async def _overwrite_charge(self, request: Request) -> Response:
        body = parse_body(await request.read(), OverwriteBody)
        charge_id = request.match_info["charge_id"]
        return web.json_response(self._ledger.overwrite_charge(charge_id, body))

    async def _show_ledger(self, request: Request) -> Response:
        """All charges, oldest first; `next` is the `after` of the next page, or null."""
        limit = min(_number(request, "limit", _PAGE_SIZE), _MAX_PAGE_SIZE)
        rows = self._ledger.charges(after=_number(request, "after", 0), limit=limit)
        return web.json_response(
            {
                "data": [charge for _, charge in rows],
                "next": rows[-1][0] if rows and len(rows) == limit else None,
            }
        )


@web.middleware
async def _errors_as_json(request: Request, handler: Handler) -> Response:
    try:
        return await handler(request)
    except ApiError as error:
        return _error(error.status, error.code, error.message)
    except web.HTTPException as error:
        return _error(error.status, _CODES.get(error.status, "bad_request"), error.reason)
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return _error(500, "internal_error", "Something went wrong.")


def _error(status: int, code: str, message: str) -> Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)


def _list(found: Object | None) -> Response:
    return web.json_response({"data": [] if found is None else [found]})


def _queried_key(request: Request) -> str:
    key = request.query.get("idempotency_key", "")
    if not key:
        raise ApiError(400, "idempotency_key_required", "Pass idempotency_key in the query.")
    return key


def _number(request: Request, name: str, default: int) -> int:
    value = request.query.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,15}", value):
        raise ApiError(400, f"invalid_{name}", f"{name}: a whole number.")
    return int(value)
