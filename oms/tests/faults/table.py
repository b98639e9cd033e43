"""All experiments, in the order in which they run.

Those with the same environment share a shop.
"""

from __future__ import annotations

from oms.tests.faults import (
    background,
    bad_clients,
    deploys,
    following,
    killed_mail,
    killed_processes,
    killed_web,
    killed_workers,
    leases,
    mail,
    many_streams,
    open_streams,
    order_races,
    placing_races,
    provider,
    restarted_postgres,
    second_processes,
    stopped_processes,
    valkey_outages,
)
from oms.tests.faults.experiments import Experiment

EXPERIMENTS: tuple[Experiment, ...] = (
    *killed_processes.EXPERIMENTS,
    *killed_workers.EXPERIMENTS,
    *killed_web.EXPERIMENTS,
    *second_processes.EXPERIMENTS,
    *stopped_processes.EXPERIMENTS,
    *restarted_postgres.EXPERIMENTS,
    *deploys.EXPERIMENTS,
    *valkey_outages.EXPERIMENTS,
    *placing_races.EXPERIMENTS,
    *order_races.EXPERIMENTS,
    *following.EXPERIMENTS,
    *open_streams.EXPERIMENTS,
    *many_streams.EXPERIMENTS,
    *bad_clients.EXPERIMENTS,
    *background.EXPERIMENTS,
    *leases.EXPERIMENTS,
    *mail.EXPERIMENTS,
    *killed_mail.EXPERIMENTS,
    *provider.EXPERIMENTS,
)
