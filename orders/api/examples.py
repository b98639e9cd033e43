"""Examples of orders for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from payments.api.examples import ORDER_ID

PRODUCT_ID = "019aa2e0-5b1a-7c44-a0d3-9e8f7a6b5c41"
ITEM_ID = "019aa2f4-7c1e-7d61-8b2f-4d3c2b1a0f9e"

ADDRESS: dict[str, Any] = {
    "name": "Ada Lovelace",
    "line1": "Rosenthaler Straße 40",
    "line2": "",
    "city": "Berlin",
    "postal_code": "10178",
    "region": "",
    "country": "DE",
}

NEW_ORDER: dict[str, Any] = {
    "items": [{"product_id": PRODUCT_ID, "quantity": 3}],
    "shipping_address": {
        "name": "Ada Lovelace",
        "line1": "Rosenthaler Straße 40",
        "city": "Berlin",
        "postal_code": "10178",
        "country": "DE",
    },
    "payment": {"provider": "sandbox", "token": "tok_success"},
    "note": "Please ring twice.",
    "reference": "PO-4711",
    "metadata": {"cost_centre": "R&D"},
}

ORDER: dict[str, Any] = {
    "id": ORDER_ID,
    "number": "20261121-7K3M9Q",
    "customer_id": "019aa2d1-3f2e-7b90-91c4-6a5b4c3d2e1f",
    "status": "pending",
    "payment_status": "processing",
    "fulfilment_status": "unfulfilled",
    "currency": "EUR",
    "total": "59.70",
    "items": [
        {
            "id": ITEM_ID,
            "product_id": PRODUCT_ID,
            "sku": "MUG-BLUE",
            "name": "Mug, blue",
            "quantity": 3,
            "unit_price": "19.90",
            "line_total": "59.70",
            "quantity_waiting": 0,
            "quantity_shipped": 0,
            "quantity_returned": 0,
            "quantity_cancelled": 0,
        }
    ],
    "shipping_address": ADDRESS,
    "billing_address": None,
    "note": "Please ring twice.",
    "reference": "PO-4711",
    "metadata": {"cost_centre": "R&D"},
    "language": "de",
    "placed_at": "2026-11-21T09:30:00Z",
    "expires_at": "2026-11-21T10:00:00Z",
    "updated_at": "2026-11-21T09:30:00Z",
    "version": 1,
    "allowed_actions": ["cancel"],
}

CANCELLED_ORDER: dict[str, Any] = {
    **ORDER,
    "status": "cancelled",
    "payment_status": "paid",
    "expires_at": None,
    "updated_at": "2026-11-21T09:45:00Z",
    "version": 4,
    "allowed_actions": ["delete"],
}

PROCESSING_ORDER: dict[str, Any] = {
    **ORDER,
    "internal_note": "Wants to be called before delivery.",
    "status": "processing",
    "payment_status": "paid",
    "expires_at": None,
    "updated_at": "2026-11-21T10:05:00Z",
    "version": 4,
    "allowed_actions": [
        "cancel",
        "set_status:on_hold",
        "set_status:shipped",
        "set_status:cancelled",
        "ship",
        "refund",
    ],
}

HISTORY: list[dict[str, Any]] = [
    {
        "status": "pending",
        "at": "2026-11-21T09:30:00Z",
        "by": "ada@example.com",
        "reason": "",
    },
    {"status": "confirmed", "at": "2026-11-21T09:30:02Z", "by": "system", "reason": "paid"},
]

ORDER_STATUS: dict[str, Any] = {
    "id": ORDER_ID,
    "number": "20261121-7K3M9Q",
    "status": "confirmed",
    "payment_status": "paid",
    "fulfilment_status": "unfulfilled",
    "updated_at": "2026-11-21T09:30:02Z",
    "history": HISTORY,
}

SHIPMENT: dict[str, Any] = {
    "id": "019aa310-2d4e-7f55-b6a7-8c9d0e1f2a3b",
    "order_id": ORDER_ID,
    "status": "shipped",
    "carrier": "DHL",
    "tracking_number": "JD014600003828392837",
    "items": [{"order_item_id": ITEM_ID, "quantity": 2}],
    "created_at": "2026-11-21T14:00:00Z",
    "shipped_at": "2026-11-21T14:00:00Z",
    "delivered_at": None,
    "tracking_url": "https://www.dhl.com/en/express/tracking.html?AWB=JD014600003828392837",
}

SHORTAGE: dict[str, Any] = {
    "errors": [
        {
            "pointer": "/items/0/quantity",
            "code": "out_of_stock",
            "detail": "3 requested, 1 available.",
            "product_id": PRODUCT_ID,
            "sku": "MUG-BLUE",
            "requested": 3,
            "available": 1,
        }
    ]
}

ILLEGAL_STEP: dict[str, Any] = {
    "invalid_transition": {"current_status": "shipped", "allowed": ["delivered"]}
}

BULK_RESULTS: dict[str, Any] = {
    "results": [
        {"status": 201, "order": ORDER},
        {
            "status": 409,
            "problem": {
                "type": "/api/docs/problems#out_of_stock",
                "title": "Out of stock",
                "status": 409,
                "detail": "Not enough stock. Nothing was reserved.",
                "instance": "/api/v1/orders/bulk",
                "code": "out_of_stock",
                "request_id": "019aa2f4-9d0b-7a11-8e44-5b2f0c7d9e63",
                "errors": SHORTAGE["errors"],
            },
        },
    ]
}
