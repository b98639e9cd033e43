"""The real processes that tests may start."""

from __future__ import annotations

import httpx
import psutil
import pytest
from django.conf import settings

from oms.testing.processes import Processes


@pytest.mark.slow
def test_the_processes_of_an_order_start_answer_and_end(processes: Processes) -> None:
    processes.start_all()
    running = processes.running()
    families = [p for r in running for p in psutil.Process(r.pid).children(recursive=True)]

    names = {process.name for process in running}
    assert names == {"provider", "web", "worker", "payments", "notifications"}
    assert httpx.get(f"{processes.web_url}/health").status_code == 200
    assert processes.provider_url == settings.SANDBOX_PROVIDER_URL

    codes = [process.terminate() for process in running]

    assert codes == [0] * len(names)
    assert psutil.wait_procs(families, timeout=5)[1] == []


@pytest.mark.slow
def test_beat_starts_and_ends(processes: Processes) -> None:
    assert processes.start("beat").terminate() == 0


@pytest.mark.slow
def test_a_process_that_cannot_start_reports_why(processes: Processes) -> None:
    with pytest.raises(AssertionError, match="SECRET_KEY must be set"):
        processes.start("web", {"SECRET_KEY": ""})
