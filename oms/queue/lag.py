"""How far background work is behind: in the log, and as gauges for Prometheus."""

from __future__ import annotations

from collections.abc import Mapping

import structlog
from prometheus_client import Gauge

log = structlog.get_logger(__name__)

# A lag of more seconds is logged as a warning.
LONG_LAG = 60.0

# The latest figure of any process counts, even after that process has ended; the timestamp of the
# measurement shows whether it is current.
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


def report_queue_lags(lags: Mapping[str, float]) -> None:
    """Log by how many seconds each kind of work is behind, as a warning above 60; set gauges."""
    for kind, seconds in lags.items():
        _LAG.labels(kind).set(seconds)
    _MEASURED_AT.set_to_current_time()
    report = log.warning if max(lags.values()) > LONG_LAG else log.info
    report("background_lag", **{k.replace(" ", "_"): round(s, 1) for k, s in lags.items()})
