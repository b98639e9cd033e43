"""A web process for all tests of a file, for each start takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from oms.testing.processes import Processes, RunningProcess


@pytest.fixture(scope="module")
def processes(django_db_setup: None, django_db_blocker: Any) -> Iterator[Processes]:
    with django_db_blocker.unblock(), Processes() as processes:
        yield processes


@pytest.fixture(scope="module")
def web(processes: Processes) -> RunningProcess:
    """A web process, in which an account may have three streams."""
    return processes.start("web", {"STREAMS_PER_ACCOUNT": "3"})


@pytest.fixture(scope="module")
def url(processes: Processes, web: RunningProcess) -> str:
    """The address of the web process."""
    return processes.web_url
