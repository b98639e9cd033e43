"""Example requests and responses of products and stock."""

from __future__ import annotations

PRODUCT = {
    "id": "019aa2f4-7c1e-7d52-9b0a-3c5f6e8d1a27",
    "sku": "LAMP-ARC-BRASS",
    "name": "Arc lamp, brass",
    "description": "A floor lamp of two metres.",
    "category": "Lighting",
    "price": "129.90",
    "currency": "EUR",
    "is_active": True,
    "available": 42,
    "version": 7,
    "created_at": "2026-11-01T08:00:00Z",
    "updated_at": "2026-11-21T09:30:00.123456Z",
}
STAFF_PRODUCT = {**PRODUCT, "low_stock_threshold": 5, "backorderable": False}
PRODUCT_REPLACEMENT = {
    "sku": "LAMP-ARC-BRASS",
    "name": "Arc lamp, brass",
    "description": "A floor lamp of two metres.",
    "category": "Lighting",
    "price": "129.90",
    "currency": "EUR",
    "is_active": True,
    "low_stock_threshold": 5,
    "backorderable": False,
}
NEW_PRODUCT = {**PRODUCT_REPLACEMENT, "initial_stock": 42}
PRODUCT_CHANGE = {"price": "119.90"}
INVENTORY = {
    "product_id": "019aa2f4-7c1e-7d52-9b0a-3c5f6e8d1a27",
    "sku": "LAMP-ARC-BRASS",
    "available": 42,
    "in_stock": True,
    "updated_at": "2026-11-21T09:30:00.123456Z",
    "on_hand": 45,
    "reserved": 3,
    "low_stock_threshold": 5,
    "is_low_stock": False,
    "locations": [
        {"code": "main", "on_hand": 40, "reserved": 3, "available": 37},
        {"code": "store-1", "on_hand": 5, "reserved": 0, "available": 5},
    ],
}
AVAILABILITY = {
    "product_id": "019aa2f4-7c1e-7d52-9b0a-3c5f6e8d1a27",
    "sku": "LAMP-ARC-BRASS",
    "on_hand": 3,
    "reserved": 3,
    "available": 0,
    "waiting": 2,
    "locations": [{"code": "main", "on_hand": 3, "reserved": 3, "available": 0}],
    "reserved_by": [
        {
            "order_id": "019aa2f5-11d2-7c05-8f3e-0b7a5d9c2e41",
            "location": "main",
            "quantity": 3,
        }
    ],
    "queue": [
        {
            "order_id": "019aa2f5-8f3e-7c05-8f3e-5d9c2e410b7a",
            "quantity": 2,
            "since": "2026-11-21T09:30:00.123456Z",
        }
    ],
    "under_way": [
        {
            "receipt_id": "019aa2f6-0a5d-7e19-b6c4-8f1d2a7b3c91",
            "reference": "DN-20481",
            "location": "main",
            "quantity": 24,
        }
    ],
    "is_truncated": False,
}
ADJUSTMENT = {
    "product_id": "019aa2f4-7c1e-7d52-9b0a-3c5f6e8d1a27",
    "reason": "correction",
    "location": "main",
    "set_to": 40,
    "expected_on_hand": 42,
    "note": "Counted on Friday.",
}
MOVEMENT = {
    "id": "019aa2f6-0a5d-7e19-b6c4-8f1d2a7b3c90",
    "product_id": "019aa2f4-7c1e-7d52-9b0a-3c5f6e8d1a27",
    "sku": "LAMP-ARC-BRASS",
    "location": "main",
    "kind": "adjust",
    "on_hand_delta": -2,
    "reserved_delta": 0,
    "on_hand_after": 40,
    "reserved_after": 3,
    "reference": "adjustment:019aa2f6-0a5c-7a02-9d31-4e7f5b6c8d12",
    "reason": "correction",
    "note": "Counted on Friday.",
    "order_id": None,
    "actor": "sam@example.com",
    "actor_id": "019aa2f0-11d2-7c05-8f3e-0b7a5d9c2e41",
    "created_at": "2026-11-21T09:31:00.654321Z",
}
