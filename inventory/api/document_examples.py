"""Example requests and responses of receipts, transfers and counts."""

from __future__ import annotations

from inventory.api.examples import PRODUCT

_ACTOR = {
    "actor": "sam@example.com",
    "actor_id": "019aa2f0-11d2-7c05-8f3e-0b7a5d9c2e41",
    "created_at": "2026-11-21T09:31:00.654321Z",
}
_PRODUCT = {"product_id": PRODUCT["id"], "sku": PRODUCT["sku"]}

NEW_RECEIPT = {
    "reference": "DN-20481",
    "location": "main",
    "items": [{"sku": PRODUCT["sku"], "quantity": 24}],
}
RECEIPT = {
    "id": "019aa2f6-0a5d-7e19-b6c4-8f1d2a7b3c91",
    "reference": "DN-20481",
    "items_total": 1,
    **_ACTOR,
    "location": "main",
    "items_booked": 1,
    "completed_at": "2026-11-21T09:31:00.654321Z",
}
RECEIPT_DETAIL = {**RECEIPT, "items": [{**_PRODUCT, "quantity": 24, "is_booked": True}]}

NEW_TRANSFER = {
    "reference": "TR-118",
    "from": "main",
    "to": "store-1",
    "items": [{"product_id": PRODUCT["id"], "quantity": 5}],
}
TRANSFER = {
    "from": "main",
    "id": "019aa2f6-0a5d-7e19-b6c4-8f1d2a7b3c92",
    "reference": "TR-118",
    "items_total": 1,
    **_ACTOR,
    "to": "store-1",
}
TRANSFER_DETAIL = {**TRANSFER, "items": [{**_PRODUCT, "quantity": 5}]}

NEW_COUNT = {
    "reference": "CNT-2026-47",
    "location": "main",
    "items": [{"sku": PRODUCT["sku"], "counted": 40, "expected_on_hand": 42}],
}
COUNT = {
    "id": "019aa2f6-0a5d-7e19-b6c4-8f1d2a7b3c93",
    "reference": "CNT-2026-47",
    "items_total": 1,
    **_ACTOR,
    "location": "main",
}
COUNT_DETAIL = {
    **COUNT,
    "items": [{**_PRODUCT, "counted": 40, "expected_on_hand": 42, "on_hand_delta": -2}],
}

NOT_ON_HAND = {
    "pointer": "/items/0/quantity",
    "code": "not_on_hand",
    "detail": "5 requested, 3 on hand.",
    **_PRODUCT,
    "requested": 5,
    "on_hand": 3,
}
UNEXPECTED = {
    "pointer": "/items/0/expected_on_hand",
    "code": "unexpected_on_hand",
    "detail": "41 are on hand, not 42.",
    **_PRODUCT,
    "on_hand": 41,
}
TOO_MANY = {
    "pointer": "/items/0/quantity",
    "code": "max_value",
    "detail": "At most 2,000,000,000 units can be on hand.",
    "product_id": PRODUCT["id"],
    "on_hand": 1_999_999_999,
}
