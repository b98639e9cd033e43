"""The yardsticks: PostgreSQL's own TPC-B, and the plain SQL of one placement."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg

from benchmarks.machine import BenchError, Servers
from oms.devserver.postgres import program

SCALE = 20
CLIENTS = 16
TPCB_DATABASE = "tpcb"
PLAIN_DATABASE = "plain"
_SCRIPTS = Path(__file__).parent / "sql"


@dataclass(frozen=True, kw_only=True)
class Yardstick:
    """Transactions a second, and latencies in seconds."""

    rate: float
    transactions: int
    failed: int
    p50: float
    p99: float


def prepare_tpcb(servers: Servers) -> None:
    """Make TPC-B's tables, unless they are there from an earlier run."""
    with servers.connect() as connection:
        exists = connection.execute(
            "SELECT FROM pg_database WHERE datname = %s", [TPCB_DATABASE]
        ).rowcount
    if exists:
        with servers.connect(TPCB_DATABASE) as connection:
            try:
                made = connection.execute("SELECT count(*) FROM pgbench_branches").fetchone()
            except psycopg.errors.UndefinedTable:
                made = None
        if made == (SCALE,):
            return
    servers.make_database(TPCB_DATABASE)
    _run(servers, TPCB_DATABASE, ["-i", "-q", "-s", str(SCALE)])


def prepare_plain(servers: Servers, *, like: str) -> None:
    """Make a copy of the stocked shop for the plain SQL."""
    servers.make_database(PLAIN_DATABASE, like=like)
    with servers.connect(PLAIN_DATABASE) as connection:
        for statement in (_SCRIPTS / "prepare_placing.sql").read_text().split(";\n"):
            if statement.strip():
                connection.execute(statement.encode())


def tpcb(servers: Servers, *, seconds: float) -> Yardstick:
    """TPC-B as pgbench comes: 16 clients, simple protocol."""
    return _measure(servers, TPCB_DATABASE, [], seconds=seconds)


def plain_placing(servers: Servers, *, seconds: float, mode: str) -> Yardstick:
    """Orders of two lines, by ten statements each; `mode` is "simple" or "prepared"."""
    words = ["-n", "-M", mode, "-f", str(_SCRIPTS / "placing.sql")]
    return _measure(servers, PLAIN_DATABASE, words, seconds=seconds)


def _measure(servers: Servers, database: str, words: Sequence[str], *, seconds: float) -> Yardstick:
    with tempfile.TemporaryDirectory(prefix="pgbench-") as folder:
        _run(
            servers,
            database,
            [*words, "-c", str(CLIENTS), "-T", str(max(1, round(seconds))), "-l"],
            folder=folder,
        )
        latencies, failed = [], 0
        first, last = float("inf"), 0.0
        for log in Path(folder).iterdir():
            for line in log.read_text().splitlines():
                # client, number, microseconds or "failed", script, epoch, its microseconds
                fields = line.split()
                if not fields[2].isdigit():
                    failed += 1
                    continue
                latencies.append(int(fields[2]))
                ended = int(fields[4]) + int(fields[5]) / 1e6
                first, last = min(first, ended - latencies[-1] / 1e6), max(last, ended)
    if not latencies:
        raise BenchError(f"pgbench on {database} ended no transaction.")
    latencies.sort()
    return Yardstick(
        rate=len(latencies) / (last - first),
        transactions=len(latencies),
        failed=failed,
        p50=latencies[len(latencies) // 2] / 1e6,
        p99=latencies[int(len(latencies) * 0.99)] / 1e6,
    )


def _run(servers: Servers, database: str, words: Sequence[str], *, folder: str = "/") -> None:
    done = subprocess.run(
        [str(program("pgbench")), *words, database],
        cwd=folder,
        env=_connection(servers.database_url(database)),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or "aborted" in done.stderr:
        raise BenchError(f"pgbench on {database} failed:\n{done.stderr[-3000:]}")


def _connection(url: str) -> Mapping[str, str]:
    parts = urlsplit(url)
    return {"PGHOST": parse_qs(parts.query)["host"][0], "PGUSER": parts.username or "postgres"}
