"""Talking to the provider process at the wire, without the gateway."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx

from payments.tests.sandbox_process import API_KEY, SandboxProcess

BODY = {
    "amount": 1250,
    "currency": "EUR",
    "token": "tok_success",
    "capture": True,
    "reference": "order-1",
    "metadata": {"basket": [1, 2]},
}


def client_of(process: SandboxProcess) -> httpx.Client:
    return httpx.Client(
        base_url=process.url,
        headers={"Authorization": f"Bearer {API_KEY}"},
        timeout=5,
        trust_env=False,
    )


def post(
    api: httpx.Client, path: str, body: dict[str, Any], key: str | None = None
) -> httpx.Response:
    return api.post(path, json=body, headers={"Idempotency-Key": key or str(uuid4())})


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def count(process: SandboxProcess, table: str) -> int:
    [(rows,)] = process.rows(f"SELECT count(*) FROM {table}")  # noqa: S608 - a name of ours
    return int(rows)
