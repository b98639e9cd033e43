"""The rounds of a benchmark: each scenario beside TPC-B, and beside the other checkout if any."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console

from benchmarks import pgbench, requests
from benchmarks.background import measure_with_background
from benchmarks.measurement import Measurement, generate_load, measure
from benchmarks.processes import Shop, start_noop_endpoint
from benchmarks.profiling import profiled, time_by_package
from benchmarks.requests import Requests
from benchmarks.scenarios import Scenario
from benchmarks.seeding import Dataset
from benchmarks.servers import Servers
from benchmarks.statements import count_statements, tracked_statements

TPCB = "tpcb"
_YARDSTICKS = {"plain", "prepared", "loader"}
# TPC-B is measured again after so many scenarios, because the speed of a machine changes.
_GROUP = 5
_COUNTING_SECONDS = 1.0


@dataclass(kw_only=True)
class Target:
    """A running shop, its data, and its measurements by scenario, round by round."""

    shop: Shop
    data: Dataset
    results: dict[str, list[Measurement]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.shop.checkout.name

    def requests(self, scenario: Scenario) -> Requests:
        if scenario.requests is not None:
            return scenario.requests(self.data)
        # It changes with the availability of the products.
        return requests.product_list_unchanged(self.shop.etag_of("/api/v1/products"))


@dataclass(kw_only=True)
class Bench:
    """Measures `scenarios`; the first of `targets` is the one that yardsticks belong to."""

    servers: Servers
    targets: Sequence[Target]
    scenarios: Sequence[Scenario]
    seconds: float
    console: Console
    _round: int = 0

    def run_round(self) -> None:
        """Measure every scenario once on every target, in alternating order of targets."""
        before = self._measure_tpcb()
        # The second run has warmer caches and more dirty pages.
        targets = self.targets[:: -1 if self._round % 2 else 1]
        self._round += 1
        for group in _groups(self.scenarios):
            measured = [
                (target, scenario, self._measure(scenario, target))
                for scenario in group
                for target in targets
                if target is self.targets[0] or scenario.name not in _YARDSTICKS
            ]
            after = self._measure_tpcb()
            tpcb = (before.rate + after.rate) / 2
            for target, scenario, one in measured:
                result = replace(one, ratio=one.rate / tpcb)
                target.results.setdefault(scenario.name, []).append(result)
            before = after

    def profile(self, folder: Path) -> None:
        """Sample the web process under each scenario; writes flame graphs and stacks."""
        folder.mkdir(parents=True, exist_ok=True)
        target = self.targets[0]
        for scenario in self.scenarios:
            if scenario.name in _YARDSTICKS or scenario.name == "background":
                continue
            stacks = folder / f"{scenario.name}.txt"
            for file in (folder / f"{scenario.name}.svg", stacks):
                pid = target.shop.process_ids()["web"]
                with profiled(pid, file=file, seconds=self.seconds):
                    generate_load(
                        target.requests(scenario),
                        port=target.shop.port,
                        connections=scenario.connections,
                        seconds=self.seconds,
                    )
            title = f"{scenario.title} ({scenario.connections})"
            self.console.print(time_by_package(stacks, title=title))

    def _measure_tpcb(self) -> Measurement:
        measured = pgbench.run_tpcb(self.servers, seconds=self.seconds)
        self.targets[0].results.setdefault(TPCB, []).append(measured)
        self._print("TPC-B", measured)
        return measured

    def _measure(self, scenario: Scenario, target: Target) -> Measurement:
        if scenario.name in ("plain", "prepared"):
            mode = "simple" if scenario.name == "plain" else "prepared"
            measured = pgbench.run_placing(self.servers, seconds=self.seconds, mode=mode)
        elif scenario.name == "loader":
            measured = self._measure_noop_endpoint(scenario, target)
        elif scenario.name == "background":
            measured = measure_with_background(
                self.servers, target.shop, target.data, seconds=self.seconds
            )
        else:
            measured = self._measure_shop(scenario, target)
        whose = f" {target.name}" if len(self.targets) > 1 else ""
        self._print(f"{scenario.title} ({scenario.connections}){whose}", measured)
        return measured

    def _measure_shop(self, scenario: Scenario, target: Target) -> Measurement:
        prepared, shop = target.requests(scenario), target.shop
        measured = measure(
            prepared,
            port=shop.port,
            connections=scenario.connections,
            seconds=self.seconds,
            orders=scenario.orders,
            process_ids={**shop.process_ids(), **self.servers.process_ids()},
        )
        if scenario.name not in target.results:
            with tracked_statements(self.servers) as connection:
                report = generate_load(
                    prepared,
                    port=shop.port,
                    connections=scenario.connections,
                    seconds=_COUNTING_SECONDS,
                    warm_up=0,
                )
                counted = count_statements(connection, shop.database)
            measured.statements = counted / max(1, report["answered"] * scenario.orders)
            measured.errors += report["unexpected"]
        return measured

    def _measure_noop_endpoint(self, scenario: Scenario, target: Target) -> Measurement:
        with ExitStack() as cleanup:
            port, pid = start_noop_endpoint(servers=self.servers, cleanup=cleanup)
            return measure(
                requests.noop(target.data),
                port=port,
                connections=scenario.connections,
                seconds=self.seconds,
                process_ids={"web": pid},
            )

    def _print(self, title: str, measured: Measurement) -> None:
        self.console.print(
            f"{title:<52} {measured.rate:>9,.0f}/s   p50 {measured.p50 * 1000:>7.1f} ms   "
            f"p99 {measured.p99 * 1000:>7.1f} ms",
            style="dim" if title == "TPC-B" else None,
        )
        if measured.note:
            self.console.print(measured.note)
        for example in measured.examples:
            self.console.print(example, style="bold red", markup=False)


def _groups(scenarios: Sequence[Scenario]) -> Iterator[Sequence[Scenario]]:
    for start in range(0, len(scenarios), _GROUP):
        yield scenarios[start : start + _GROUP]
