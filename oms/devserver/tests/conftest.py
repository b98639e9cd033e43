"""What the tests of the local servers share."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from oms.devserver.processes import ChildProcesses
from oms.devserver.supervisor import Supervisor
from oms.devserver.tests.supervising import supervisor_for


@pytest.fixture
def children() -> Iterator[ChildProcesses]:
    """Stops processes that a test leaves running."""
    children = ChildProcesses()
    yield children
    children.close()


@pytest.fixture
def output() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    (tmp_path / "heartbeats").mkdir()
    return tmp_path


@pytest.fixture
def supervisor(
    output: io.StringIO, children: ChildProcesses, run_folder: Path
) -> Iterator[Supervisor]:
    supervisor = supervisor_for(children, output, run_folder)
    yield supervisor
    supervisor.stop(grace=1)
