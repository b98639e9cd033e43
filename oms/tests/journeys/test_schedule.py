"""The scheduler of the periodic tasks."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings

from oms.background import Scheduler
from oms.celery import app
from orders import tasks


class Recorder(Scheduler):
    """Notes what it would send."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.sent: list[str] = []
        super().__init__(*arguments, **options)

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        self.sent.append(entry.name)


@pytest.fixture
def scheduler() -> Recorder:
    return Recorder(app)


def test_it_has_the_entries_of_the_settings(scheduler: Recorder) -> None:
    assert "process payments" in scheduler.schedule


def test_after_the_clock_was_set_back_work_is_sent_as_before(scheduler: Recorder) -> None:
    for entry in scheduler.schedule.values():
        assert entry.last_run_at is not None
        entry.last_run_at += timedelta(hours=1)
    scheduler.populate_heap()

    deadline = time.monotonic() + 10
    while not {"relay events", "process payments"} <= set(scheduler.sent):
        scheduler.tick()
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_expiry_ends_before_its_time_limit_and_its_next_run() -> None:
    assert tasks._SECONDS < settings.CELERY_TASK_TIME_LIMIT
    assert app.conf.beat_schedule["expire orders"]["schedule"] > tasks._SECONDS
