"""The yardsticks: PostgreSQL's own TPC-B, and the plain SQL of placing an order."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg

from benchmarks.measurement import Measurement
from benchmarks.servers import BenchError, Servers
from oms.devserver.postgres import program

_SCALE, _CLIENTS = 20, 16
_TPCB, _PLAIN = "tpcb", "plain"
_SCRIPTS = Path(__file__).parent / "sql"


def prepare_tpcb(servers: Servers) -> None:
    """Create TPC-B's tables, unless an earlier run has."""
    try:
        with servers.connect(_TPCB) as connection:
            found = connection.execute("SELECT count(*) FROM pgbench_branches").fetchone()
    except psycopg.Error:  # no such database or table
        found = None
    if found != (_SCALE,):
        servers.create_database(_TPCB)
        _run(servers, _TPCB, ["-i", "-q", "-s", str(_SCALE)])


def prepare_placing(servers: Servers, *, template: str) -> None:
    """Copy the seeded shop for the plain SQL."""
    servers.create_database(_PLAIN, template=template)
    with servers.connect(_PLAIN) as connection:
        for statement in (_SCRIPTS / "prepare_placing.sql").read_text().split(";\n"):
            if statement.strip():
                connection.execute(statement.encode())


def run_tpcb(servers: Servers, *, seconds: float) -> Measurement:
    """TPC-B as pgbench comes: 16 clients, simple protocol."""
    return _measure(servers, _TPCB, [], seconds=seconds)


def run_placing(servers: Servers, *, seconds: float, mode: str) -> Measurement:
    """Orders of two lines, by ten statements each; `mode` is "simple" or "prepared"."""
    options = ["-n", "-M", mode, "-f", str(_SCRIPTS / "placing.sql")]
    return _measure(servers, _PLAIN, options, seconds=seconds)


def _measure(
    servers: Servers, database: str, options: Sequence[str], *, seconds: float
) -> Measurement:
    with tempfile.TemporaryDirectory(prefix="pgbench-") as folder:
        duration = ["-c", str(_CLIENTS), "-T", str(max(1, round(seconds))), "-l"]
        _run(servers, database, [*options, *duration], folder=folder)
        # client, number, microseconds (or "failed"), script, epoch of the end, its microseconds
        rows = [line.split() for log in Path(folder).iterdir() for line in log.open()]
    done = [
        (int(row[2]) / 1e6, int(row[4]) + int(row[5]) / 1e6) for row in rows if row[2].isdigit()
    ]
    if not done:
        raise BenchError(f"pgbench on {database} ended no transaction.")
    began = min(ended - latency for latency, ended in done)
    latencies = sorted(latency for latency, _ in done)
    return Measurement(
        rate=len(done) / (max(ended for _, ended in done) - began),
        p50=latencies[len(latencies) // 2],
        p99=latencies[int(len(latencies) * 0.99)],
        errors=len(rows) - len(done),
    )


def _run(servers: Servers, database: str, options: Sequence[str], *, folder: str = "/") -> None:
    url = urlsplit(servers.database_url(database))
    done = subprocess.run(
        [str(program("pgbench")), *options, database],
        cwd=folder,
        env={"PGHOST": parse_qs(url.query)["host"][0], "PGUSER": url.username or "postgres"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or "aborted" in done.stderr:
        raise BenchError(f"pgbench on {database} failed:\n{done.stderr[-3000:]}")
