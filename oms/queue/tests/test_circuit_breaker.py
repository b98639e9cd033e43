"""Sparing a service that does not answer."""

from __future__ import annotations

from oms.queue.circuit_breaker import CircuitBreaker


def test_after_failures_in_a_row_single_calls_probe_the_service_until_one_succeeds() -> None:
    breaker = CircuitBreaker(failures=3, pause=60)

    for _ in range(2):
        breaker.record(is_answered=False)
    assert breaker.allow(64) == 64
    breaker.record(is_answered=False)
    assert breaker.allow(64) == 0

    breaker.pause = 0
    breaker.record(is_answered=False)
    assert breaker.allow(64) == 1
    assert breaker.allow(0) == 0
    breaker.record(is_answered=True)
    assert breaker.allow(64) == 64


def test_a_probe_without_an_answer_yet_is_followed_by_another_after_the_pause_alone() -> None:
    breaker = CircuitBreaker(failures=1, pause=0)
    breaker.record(is_answered=False)
    breaker.pause = 60

    assert [breaker.allow(64) for _ in range(3)] == [1, 0, 0]


def test_failures_among_successes_open_nothing() -> None:
    breaker = CircuitBreaker(failures=3, pause=60)

    for _ in range(10):
        breaker.record(is_answered=False)
        breaker.record(is_answered=False)
        breaker.record(is_answered=True)

    assert not breaker.is_open
