"""Copies of the catalogue in several real processes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from oms.fastpath.tests.calls import token_of
from oms.testing.factories import make_product, make_staff
from oms.testing.processes import Processes

pytestmark = pytest.mark.slow

CHANGES = 40
READERS = 4
PATH = "/api/v1/products?page_size=1"


def test_no_process_shows_a_product_as_it_was_before_an_acknowledged_change(
    processes: Processes,
) -> None:
    settings = {"WEB_WORKERS": "2", "RATE_LIMIT_ANONYMOUS": "1000000/minute"}
    processes.start("web", settings)
    mug = make_product()
    staff = {"Authorization": f"Bearer {token_of(make_staff())}"}
    acknowledged, over = [mug.version], [False]

    def read() -> tuple[int, int]:
        """How many answers there were, and how many of them were stale."""
        answers = stale = 0
        while not over[0]:
            # A new connection for a few questions, so that both processes are asked.
            with httpx.Client(base_url=processes.web_url) as client:
                for _ in range(5):
                    least = acknowledged[0]
                    [shown] = client.get(PATH).json()["results"]
                    answers += 1
                    stale += shown["version"] < least
        return answers, stale

    with (
        ThreadPoolExecutor(max_workers=READERS) as threads,
        httpx.Client(base_url=processes.web_url, headers=staff) as client,
    ):
        readers = [threads.submit(read) for _ in range(READERS)]
        try:
            for number in range(CHANGES):
                changed = client.patch(f"/api/v1/products/{mug.id}", json={"name": f"Mug {number}"})
                assert changed.status_code == 200, changed.text
                acknowledged[0] = changed.json()["version"]
        finally:
            over[0] = True
        read_by_each = [reader.result() for reader in readers]

    assert acknowledged[0] == mug.version + CHANGES
    assert sum(stale for _, stale in read_by_each) == 0
    assert all(answers > 0 for answers, _ in read_by_each)
