"""What the tests of the management share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from oms.devserver import Guard


@pytest.fixture
def guard() -> Iterator[Guard]:
    """Ends whatever a test leaves behind."""
    guard = Guard()
    yield guard
    guard.close()
