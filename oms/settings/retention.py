"""For how long the shop keeps what only grows; see docs/decisions/0011-what-grows.md."""

from __future__ import annotations

from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from oms.settings.environment import VAR_DIR, env


def _duration(name: str, *, default: int) -> int:
    value: int = env.int(name, default=default)
    if value < 0:
        raise ImproperlyConfigured(f"{name} is a whole number; 0 is for ever.")
    return value


# Full months of the event log that `manage.py event_log archive` leaves in the database; without a
# number it archives nothing.
EVENT_LOG_RETENTION_MONTHS = _duration("EVENT_LOG_RETENTION_MONTHS", default=0)
EVENT_LOG_ARCHIVE_DIR = Path(env.str("EVENT_LOG_ARCHIVE_DIR", default=str(VAR_DIR / "archive")))
# Days after which the purge deletes webhooks of payment providers, which are kept to know a
# repetition, and notifications that were delivered.
PROVIDER_MESSAGE_RETENTION_DAYS = _duration("PROVIDER_MESSAGE_RETENTION_DAYS", default=90)
NOTIFICATION_RETENTION_DAYS = _duration("NOTIFICATION_RETENTION_DAYS", default=0)
