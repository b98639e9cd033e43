"""Data retention; see docs/decisions/0011-growing-tables.md."""

from __future__ import annotations

from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from oms.settings.environment import VAR_DIR, env

# Full months of the event log that `manage.py event_log archive` leaves in the database; with 0 it
# archives nothing.
EVENT_LOG_RETENTION_MONTHS = env.int("EVENT_LOG_RETENTION_MONTHS", default=0)
EVENT_LOG_ARCHIVE_DIR = Path(env.str("EVENT_LOG_ARCHIVE_DIR", default="") or VAR_DIR / "archive")
# Days after which webhooks of payment providers, kept to detect duplicates, and delivered
# notifications are deleted; 0 keeps them.
PROVIDER_MESSAGE_RETENTION_DAYS = env.int("PROVIDER_MESSAGE_RETENTION_DAYS", default=90)
NOTIFICATION_RETENTION_DAYS = env.int("NOTIFICATION_RETENTION_DAYS", default=0)
# Days after which a customer's request for a message when a product is back is deleted; 0 keeps it.
STOCK_ALERT_RETENTION_DAYS = env.int("STOCK_ALERT_RETENTION_DAYS", default=365)

_RETENTIONS = (
    EVENT_LOG_RETENTION_MONTHS,
    PROVIDER_MESSAGE_RETENTION_DAYS,
    NOTIFICATION_RETENTION_DAYS,
    STOCK_ALERT_RETENTION_DAYS,
)
# Within the range of dates.
if min(_RETENTIONS) < 0 or max(_RETENTIONS) > 10_000:
    raise ImproperlyConfigured("Retentions are whole numbers from 0 (keep forever) to 10,000.")
