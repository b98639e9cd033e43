"""The checks of orders for `manage.py reconcile`."""

from __future__ import annotations

from orders.checks.history import HISTORY_CHECKS
from orders.checks.orders import ORDER_CHECKS
from orders.checks.payments import PAYMENT_CHECKS
from orders.checks.returns import RETURN_CHECKS
from orders.checks.stock import STOCK_CHECKS

CHECKS = (*STOCK_CHECKS, *ORDER_CHECKS, *RETURN_CHECKS, *PAYMENT_CHECKS, *HISTORY_CHECKS)
