"""All experiments, in the order in which they run.

Experiments with the same environment stand together, for they share a shop.
"""

from __future__ import annotations

from oms.tests.faults import killed_processes, order_races, placing_races
from oms.tests.faults.experiments import Experiment

EXPERIMENTS: tuple[Experiment, ...] = (
    *killed_processes.EXPERIMENTS,
    *placing_races.EXPERIMENTS,
    *order_races.EXPERIMENTS,
)
