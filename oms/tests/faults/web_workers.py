"""What the web workers of a shop keep: memory, threads, connections."""

from __future__ import annotations

import time
from collections.abc import Collection

import psutil

from oms.tests.faults.processes import ShopProcess
from oms.tests.faults.shop import Shop

# What a worker may keep: pools and caches fill once.
_SPARE_THREADS, _SPARE_CONNECTIONS = 8, 8


def memory(workers: Collection[ShopProcess]) -> dict[int, int]:
    """The bytes that each of the processes keeps in memory, by its id."""
    return {each.pid: psutil.Process(each.pid).memory_info().rss for each in workers}


def resources(shop: Shop) -> dict[int, tuple[int, int]]:
    """Threads of each web worker and its connections with clients, by its process id.

    Those with other processes of the shop, such as the provider's for its webhooks, are kept open.
    """
    connections = {
        process: psutil.Process(process.pid).net_connections("tcp")
        for kind in ("web worker", "provider", "valkey")
        for process in shop.processes(kind)
    }
    ours = {each.laddr.port for found in connections.values() for each in found}
    return {
        process.pid: (
            psutil.Process(process.pid).num_threads(),
            sum(1 for each in found if each.raddr and each.raddr.port not in ours),
        )
        for process, found in connections.items()
        if process.kind == "web worker"
    }


def leaks(shop: Shop, before: dict[int, tuple[int, int]]) -> list[str]:
    time.sleep(2)  # until closed connections are noticed
    violations = []
    for pid, (threads, connections) in resources(shop).items():
        if pid not in before:
            violations.append(f"web worker {pid} is a new one")
            continue
        more_threads, more_connections = threads - before[pid][0], connections - before[pid][1]
        if more_threads > _SPARE_THREADS or more_connections > _SPARE_CONNECTIONS:
            violations.append(
                f"web worker {pid} keeps {more_threads} threads and {more_connections} connections"
            )
    return violations
