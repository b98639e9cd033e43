"""Examples of reports."""

from __future__ import annotations

REPORT = {
    "date": "2026-11-20",
    "timezone": "Europe/Berlin",
    "currency": "EUR",
    "orders_placed": 42,
    "orders_confirmed": 39,
    "orders_cancelled": 2,
    "units_sold": 97,
    "gross_sales": "4180.20",
    "cancelled_sales": "59.90",
    "refunds": "119.80",
    "net_sales": "4060.40",
    "refunds_of_no_sale": "19.90",
    "average_order_value": "108.72",
    "top_products": [
        {
            "product_id": "019aa2f4-7c1e-7d52-9b0a-3c5f6e8d1a27",
            "sku": "LAMP-OAK-01",
            "name": "Desk lamp, oak",
            "units": 11,
            "revenue": "1318.90",
        }
    ],
    "by_status": {"cancelled": 1, "confirmed": 30, "pending": 2, "shipped": 9},
    "by_hour": [
        {"hour": "2026-11-20T00:00:00+01:00", "orders": 0, "gross_sales": "0.00"},
        {"hour": "2026-11-20T01:00:00+01:00", "orders": 3, "gross_sales": "311.70"},
    ],
    "generated_at": "2026-11-20T23:05:01.123456Z",
    "is_final": True,
}
CSV = (
    "date,currency,section,key,name,figure,value\r\n"
    "2026-11-20,EUR,total,,,orders_placed,42\r\n"
    '2026-11-20,EUR,top_products,LAMP-OAK-01,"Desk lamp, oak",units,11\r\n'
)
