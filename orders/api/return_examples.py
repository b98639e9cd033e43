"""Examples of cancelled quantities and returns for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from orders.api.examples import ITEM_ID, PROCESSING_ORDER
from payments.api.examples import ORDER_ID, REFUND

CANCELLED_ITEMS: list[dict[str, Any]] = [{"order_item_id": ITEM_ID, "quantity": 1}]

CANCELLATION: dict[str, Any] = {
    "id": "019aa315-6c7d-7e18-8f29-1a2b3c4d5e6f",
    "order_id": ORDER_ID,
    "items": CANCELLED_ITEMS,
    "amount": "19.90",
    "currency": "EUR",
    "reason": "Broken in the warehouse.",
    "refund_id": REFUND["id"],
    "created_at": "2026-11-21T14:20:00Z",
}

NEW_CANCELLATION: dict[str, Any] = {
    **CANCELLATION,
    "order": {
        **PROCESSING_ORDER,
        "total": "39.80",
        "items": [{**PROCESSING_ORDER["items"][0], "line_total": "39.80", "quantity_cancelled": 1}],
        "updated_at": "2026-11-21T14:20:00Z",
        "version": 5,
    },
}

TOO_MANY: dict[str, Any] = {
    "items": [{"order_item_id": ITEM_ID, "requested": 2, "left": 1, "waiting": 0}]
}

RETURN: dict[str, Any] = {
    "id": "019aa5d2-8e9f-7a2b-9c3d-4e5f6a7b8c9d",
    "order_id": ORDER_ID,
    "status": "requested",
    "reason": "",
    "items": [
        {
            "order_item_id": ITEM_ID,
            "quantity": 2,
            "quantity_received": 0,
            "reason": "The handle is cracked.",
        }
    ],
    "receipts": [],
    "created_at": "2026-11-25T18:05:00Z",
    "updated_at": "2026-11-25T18:05:00Z",
}

RECEIVED: list[dict[str, Any]] = [
    {"order_item_id": ITEM_ID, "quantity": 1, "outcome": "restock", "location": "main"},
    {"order_item_id": ITEM_ID, "quantity": 1, "outcome": "unusable"},
]

RECEIVED_RETURN: dict[str, Any] = {
    **RETURN,
    "status": "received",
    "items": [{**RETURN["items"][0], "quantity_received": 2}],
    "receipts": [
        {
            "id": "019aa8e1-0f1a-7b2c-8d3e-5f6a7b8c9d0e",
            "items": [{"location": "", **each} for each in RECEIVED],
            "refund_id": REFUND["id"],
            "created_at": "2026-11-27T10:40:00Z",
        }
    ],
    "updated_at": "2026-11-27T10:40:00Z",
}

ENDED_RETURN: dict[str, Any] = {"invalid_transition": {"current_status": "received", "allowed": []}}
