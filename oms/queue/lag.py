"""How far background work is behind: in the log, and as gauges for Prometheus."""

from __future__ import annotations

import time

import structlog
from prometheus_client import Gauge

from notifications.queries import seconds_mail_overdue
from oms.events.relay import seconds_behind
from payments.queries import seconds_overdue

log = structlog.get_logger(__name__)

# Behind by more seconds than that, the background is a matter for a person.
_LONG = 60.0

# The latest figure of any process is the true one, even after that process has ended; the time of
# the measurement shows whether anybody still measures.
_LAG = Gauge(
    "oms_background_lag_seconds",
    "For how long the oldest due work of each kind has been waiting",
    labelnames=["work"],
    multiprocess_mode="mostrecent",
)
_MEASURED_AT = Gauge(
    "oms_background_lag_measured_timestamp_seconds",
    "When oms_background_lag_seconds was last measured",
    multiprocess_mode="mostrecent",
)


def lags() -> dict[str, float]:
    """For how many seconds the oldest piece of each kind of work has waited; 0 if none waits.

    The kinds are "payments", "refunds", "mail", and "events <consumer>" for what each has not read.
    """
    return {
        **{f"events {consumer}": seconds for consumer, seconds in seconds_behind().items()},
        **seconds_overdue(),
        "mail": seconds_mail_overdue(),
    }


def report_queue_lags() -> None:
    """Log each lag and set its gauge; the log line is a warning if any exceeds a minute."""
    found = lags()
    for kind, seconds in found.items():
        _LAG.labels(kind).set(seconds)
    _MEASURED_AT.set(time.time())
    report = log.warning if max(found.values()) > _LONG else log.info
    report("background_lag", **{k.replace(" ", "_"): round(s, 1) for k, s in found.items()})
