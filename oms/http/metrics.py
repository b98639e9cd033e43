"""GET /metrics: the figures of all processes of this machine, in Prometheus' text format.

Each process counts into files of its own in settings.METRICS_DIR (prometheus_client's multiprocess
mode), one folder for each host name. Any web process adds all of them up, so that every scrape
shows the same counters, whichever process answers.
"""

from __future__ import annotations

import fcntl
import hmac
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, Metric, generate_latest
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector, CollectorRegistry

from oms.http.problems import Problem, problem_of_status, problem_response

# "counter_4711.db", "gauge_mostrecent_4711.db": the kind of metric and the process.
_FILE = re.compile(r"(?P<kind>.+)_(?P<pid>[0-9]+)\.db")


def metrics(request: HttpRequest) -> HttpResponse:
    """The figures, for a scraper with settings.METRICS_TOKEN, or from this machine without one."""
    refusal = _refusal(request)
    if refusal is not None:
        return problem_response(request=request, problem=refusal)
    registry = CollectorRegistry()
    registry.register(_AllProcesses())
    return HttpResponse(
        generate_latest(registry),
        content_type=CONTENT_TYPE_LATEST,
        headers={"Cache-Control": "no-store"},
    )


def _refusal(request: HttpRequest) -> Problem | None:
    if token := settings.METRICS_TOKEN:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(given.encode(), token.encode()):
            return None
        return Problem(
            status=401,
            code="not_authenticated",
            detail="Send METRICS_TOKEN as a bearer token.",
            headers={"WWW-Authenticate": 'Bearer realm="metrics"'},
        )
    address = getattr(request, "client_address", None)
    # Otherwise an unknown proxy on this machine would give all clients access.
    is_forwarded = not settings.TRUSTED_PROXIES and "X-Forwarded-For" in request.headers
    if address is not None and ip_address(address).is_loopback and not is_forwarded:
        return None
    return problem_of_status(
        403, detail="Without METRICS_TOKEN, metrics are available from this machine only."
    )


class _AllProcesses(Collector):
    """The sums over all processes, including those that have ended."""

    def collect(self) -> Iterator[Metric]:
        own_folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
        with _locked(own_folder):
            _fold_ended_processes(own_folder)
            files = [str(path) for path in settings.METRICS_DIR.glob("*/*.db")]
            yield from MultiProcessCollector.merge(files)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fold_ended_processes(folder: Path) -> None:
    """Add the files of processes that have ended to one file of each kind, and delete them.

    So the number of files is bounded, and no counter ever falls because a process was replaced.
    """
    for path in folder.glob("*.db"):
        match = _FILE.fullmatch(path.name)
        if match is None or _is_running(int(match["pid"])):
            continue
        if match["kind"].startswith("gauge_live"):  # of processes that run
            path.unlink()
            continue
        is_gauge = match["kind"].startswith("gauge")
        sums = MmapedDict(str(folder / f"{match['kind']}_ended.db"))
        for key, value, at, _ in MmapedDict.read_all_values_from_file(str(path)):
            known, known_at = sums.read_value(key)
            if not is_gauge:
                sums.write_value(key, known + value, 0.0)
            elif at >= known_at:
                sums.write_value(key, value, at)
        sums.close()
        path.unlink()


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it runs, as another user
        return True
    return True
