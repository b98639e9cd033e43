"""Examples of payments for the OpenAPI document."""

from __future__ import annotations

from typing import Any

ORDER_ID = "019aa2f4-7c1e-7d52-9b0a-3c5f6e8d1a27"
PAYMENT_ID = "019aa2f4-7c1f-7c30-8d41-6f2f0a9b7e15"

REFUND: dict[str, Any] = {
    "id": "019aa3a0-1b2c-7f10-9a3e-0d5c4b3a2f19",
    "payment_id": PAYMENT_ID,
    "order_id": ORDER_ID,
    "origin": "shop",
    "is_dispute": False,
    "amount": "19.90",
    "currency": "EUR",
    "reason": "One item arrived damaged.",
    "status": "requested",
    "failure_code": "",
    "created_at": "2026-11-22T08:15:00Z",
    "updated_at": "2026-11-22T08:15:00Z",
    "succeeded_at": None,
}

PAYMENT: dict[str, Any] = {
    "id": PAYMENT_ID,
    "order_id": ORDER_ID,
    "origin": "shop",
    "provider": "sandbox",
    "amount": "59.70",
    "currency": "EUR",
    "status": "captured",
    "captured_amount": "59.70",
    "refunded_amount": "19.90",
    "refundable": "39.80",
    "failure_code": "",
    "failure_message": "",
    "created_at": "2026-11-21T09:30:00Z",
    "updated_at": "2026-11-22T08:15:00Z",
    "captured_at": "2026-11-21T09:30:01Z",
    "refunds": [REFUND],
}

NEW_PAYMENT: dict[str, Any] = {
    **PAYMENT,
    "status": "created",
    "captured_amount": "0.00",
    "refunded_amount": "0.00",
    "refundable": "0.00",
    "updated_at": "2026-11-21T09:30:00Z",
    "captured_at": None,
    "refunds": [],
}

ADMIN_PAYMENT: dict[str, Any] = {
    **PAYMENT,
    "provider_reference": "ch_5f2c8a1e9b7d4c3a",
    "attempts": 0,
    "next_attempt_at": None,
    "last_error": "",
}
