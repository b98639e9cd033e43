"""The guard, whose parent is killed for real."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from oms.testing.environment import ROOT


def _wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not any(_runs(pid) for pid in pids):
            return
        time.sleep(0.05)
    raise AssertionError(f"still running: {[pid for pid in pids if _runs(pid)]}")


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_a_process_that_is_killed(tmp_path: Path, ending: signal.Signals) -> None:
    script = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from oms.devserver import EmbeddedPostgres, EmbeddedValkey, Guard, free_port

        folder = Path(sys.argv[1])
        guard = Guard()
        guard.remove_at_end(folder / "litter")
        (folder / "litter").mkdir()
        postgres = EmbeddedPostgres(
            data=folder / "pg", log=folder / "pg.log", guard=guard, durable=False
        )
        valkey = EmbeddedValkey(
            data=folder / "vk", log=folder / "vk.log", port=free_port(), guard=guard
        )
        postgres.start()
        valkey.start()
        print(postgres.pid, valkey.pid, guard.pid, flush=True)
        time.sleep(60)
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    assert process.stdout is not None
    pids = [int(word) for word in process.stdout.readline().split()]
    assert len(pids) == 3
    assert all(_runs(pid) for pid in pids)

    process.send_signal(ending)
    process.wait(timeout=5)
    process.stdout.close()

    _wait_until_gone(pids)
    assert not (tmp_path / "litter").exists()
    assert not (tmp_path / "pg" / "postmaster.pid").exists()
