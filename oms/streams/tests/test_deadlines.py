"""Streams that cannot be opened in time, because PostgreSQL or a thread is not free."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import httpx
import psycopg
import pytest

from oms.core.clock import now
from oms.testing.factories import make_customer, tokens_for
from oms.testing.processes import current_database_url
from oms.testing.streams import StreamRefused, streamed, web_socket
from oms.users.models import Session

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def locked(table: str) -> Iterator[None]:
    """Nobody can read the table meanwhile; who waits for it does so for two seconds at most."""
    with psycopg.connect(current_database_url()) as other:
        other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield
        other.rollback()


def test_the_client_s_deadline_holds_for_the_opening(url: str) -> None:
    access = tokens_for(make_customer()).access
    headers = {"X-Request-Timeout-Ms": "500"}
    with locked("users_session"):
        with (
            pytest.raises(StreamRefused) as refusal,
            streamed(url, "orders", token=access, headers=headers),
        ):
            pass
        assert (refusal.value.status, refusal.value.code) == (504, "deadline_exceeded")
        with web_socket(url, token=access, headers=headers) as socket:
            assert socket.receive()["code"] == "deadline_exceeded"
            assert socket.close_code() == 1012
    with streamed(url, "orders", token=access, headers=headers):
        pass


def test_a_deadline_that_makes_no_sense_is_refused(url: str) -> None:
    headers = {"X-Request-Timeout-Ms": "soon"}
    with pytest.raises(StreamRefused) as refusal, streamed(url, "inventory", headers=headers):
        pass
    assert (refusal.value.status, refusal.value.code) == (400, "invalid_header")


def test_the_end_of_a_session_is_seen_while_others_wait_to_connect(url: str) -> None:
    """Two of them at a time wait for the table, for two seconds each."""
    access, waiting = tokens_for(make_customer()).access, 24

    def connect(number: int) -> int:
        query = {"topics": "inventory", "ticket": f"no-ticket-{number}"}
        return httpx.get(f"{url}/api/v1/stream", params=query, timeout=60).status_code

    with streamed(url, "orders", token=access) as stream, ThreadPoolExecutor(waiting) as threads:
        with locked("streams_ticket"):
            answers = [threads.submit(connect, number) for number in range(waiting)]
            time.sleep(0.5)
            Session.objects.update(expires_at=now() - timedelta(seconds=1))
            [ended] = stream.rest(seconds=12)
            assert not all(answer.done() for answer in answers)
        assert ended.event == "stream.ended"
