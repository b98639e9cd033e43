"""What the tests of the local servers share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from oms.devserver.processes import ChildProcesses


@pytest.fixture
def children() -> Iterator[ChildProcesses]:
    """Stops processes that a test leaves running."""
    children = ChildProcesses()
    yield children
    children.close()
