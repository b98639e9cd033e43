"""Child processes of a parent that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest

from oms.devserver.processes import ChildProcesses
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


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_a_process_that_is_killed(tmp_path: Path, number: signal.Signals) -> None:
    script = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from oms.devserver.ports import free_port
        from oms.devserver.postgres import local_postgres
        from oms.devserver.processes import ChildProcesses
        from oms.devserver.valkey import local_valkey

        folder = Path(sys.argv[1])
        children = ChildProcesses()
        children.remove_at_end(folder / "temporary")
        (folder / "temporary").mkdir()
        common = {"children": children, "durable": False}
        with (
            local_postgres(data=folder / "pg", log=folder / "pg.log", **common) as postgres,
            local_valkey(
                data=folder / "vk", log=folder / "vk.log", port=free_port(), **common
            ) as valkey,
        ):
            print(postgres.pid, valkey.pid, children.reaper_pid, flush=True)
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

    process.send_signal(number)
    process.wait(timeout=5)
    process.stdout.close()

    _wait_until_gone(pids)
    assert not (tmp_path / "temporary").exists()
    assert not (tmp_path / "pg" / "postmaster.pid").exists()


def test_a_reaper_that_was_stopped_does_not_stop_the_end(tmp_path: Path) -> None:
    children = ChildProcesses()
    (tmp_path / "temporary").mkdir()
    children.remove_at_end(tmp_path / "temporary")
    process = children.start(["sleep", "60"])
    os.kill(children.reaper_pid, signal.SIGSTOP)
    closing = threading.Thread(target=children.close, daemon=True)

    closing.start()
    closing.join(timeout=15)

    assert not closing.is_alive()
    assert process.wait(timeout=5) == -signal.SIGTERM
    assert not (tmp_path / "temporary").exists()
