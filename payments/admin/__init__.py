"""The back office of payments: read-only pages, with a retry for unfinished ones."""

from payments.admin.payments import PaymentAdmin
from payments.admin.provider_messages import ProviderMessageAdmin
from payments.admin.refunds import RefundAdmin

__all__ = ["PaymentAdmin", "ProviderMessageAdmin", "RefundAdmin"]
