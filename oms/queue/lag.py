"""How far the background is behind: in the log, and for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import structlog
from django.db import DatabaseError
from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from notifications.queries import seconds_mail_overdue
from oms.events.relay import seconds_behind
from payments.queries import seconds_overdue

log = structlog.get_logger(__name__)

# Behind by more seconds than that, the background is a matter for a person.
_LONG = 60.0


def lags() -> dict[str, float]:
    """For how many seconds the oldest piece of each kind of work has waited; 0 if none waits.

    The kinds are "payments", "refunds", "mail", and "events <consumer>" for what each has not read.
    """
    return {
        **{f"events {consumer}": seconds for consumer, seconds in seconds_behind().items()},
        **seconds_overdue(),
        "mail": seconds_mail_overdue(),
    }


def log_queue_lags() -> None:
    """Write to the log how far behind everything is; a warning if anything is, by a minute."""
    found = {kind.replace(" ", "_"): round(seconds, 1) for kind, seconds in lags().items()}
    tell = log.warning if max(found.values()) > _LONG else log.info
    tell("background_lag", **found)


class LagCollector(Collector):
    """The gauge oms_background_lag_seconds, asked of the database with each scrape."""

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Its name alone, so that registering it asks no database."""
        yield _gauge()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Its present values; none while the database is away, which /health/ready tells."""
        gauge = _gauge()
        try:
            for kind, seconds in lags().items():
                gauge.add_metric([kind], seconds)
        except DatabaseError as error:
            log.warning("lag_unknown", error=type(error).__name__)
        yield gauge


@cache
def expose_lags() -> None:
    """Let /metrics show how far behind everything is."""
    REGISTRY.register(LagCollector())


def _gauge() -> GaugeMetricFamily:
    return GaugeMetricFamily(
        "oms_background_lag_seconds",
        "For how long the oldest piece of work of each kind has been waiting",
        labels=["work"],
    )
