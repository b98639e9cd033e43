"""The back office of payments: to be read, and looked up again where the outcome is open."""

from payments.admin.messages import ProviderMessageAdmin
from payments.admin.payments import PaymentAdmin
from payments.admin.refunds import RefundAdmin

__all__ = ["PaymentAdmin", "ProviderMessageAdmin", "RefundAdmin"]
