"""A web process for all tests of a file, for each start takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from oms.testing.processes import Processes


@pytest.fixture(scope="module")
def url(django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """The address of a web process, in which an account may have three streams."""
    with django_db_blocker.unblock(), Processes() as processes:
        processes.start("web", {"STREAMS_PER_ACCOUNT": "3"})
        yield processes.web_url
