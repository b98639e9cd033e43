"""What a soak makes of what it saw."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from benchmarks.monitoring import Backlog
from benchmarks.soak_report import Soak, Window, trend_of


def _window(at: float, *, web: float, errors: int = 0) -> Window:
    return Window(
        at=at,
        load={
            "answered": 1_000,
            "unexpected": errors,
            "examples": ["answered 500"] if errors else [],
        },
        backlog=Backlog(payments=0, mails=0, events=0, webhooks=0),
        memory={"web": web},
        dead={},
    )


def _soak(sizes: Sequence[float]) -> Soak:
    return Soak(
        tables_before={},
        windows=[_window(10.0 * n, web=size) for n, size in enumerate(sizes)],
    )


def test_a_trend_has_its_slope_a_minute() -> None:
    trend = trend_of([(seconds, 100 + seconds / 60) for seconds in range(0, 600, 10)])

    assert trend.slope == pytest.approx(1)
    assert trend.rise == pytest.approx(39 / 6, rel=0.05)  # over the last two thirds
    assert trend.grows


@pytest.mark.parametrize(
    "sizes",
    [
        [60, 80, 95, 100, 100, 101, 100, 101, 100, 100, 101, 100],  # caches that fill up
        [100, 104, 96, 103, 97, 104, 96, 103, 97, 104, 96, 100],  # noise
        [140 - n for n in range(12)],  # falling
    ],
)
def test_filling_up_at_first_noise_and_falling_are_no_growth(sizes: list[float]) -> None:
    assert _soak(sizes).failures() == []


def test_a_process_whose_memory_grows_is_reported() -> None:
    [failure] = _soak([80 + 2 * n for n in range(12)]).failures()

    assert failure == "web grows: +12.00 MB a minute."


def test_a_process_that_is_too_large_is_named_even_if_it_shrinks_again() -> None:
    [failure] = _soak([100, 100, 151, *[100] * 12]).failures()

    assert failure == "web held 151 MB, more than 150."


def test_answers_that_were_not_as_expected_are_counted() -> None:
    soak = Soak(tables_before={}, windows=[_window(10, web=90, errors=2), _window(20, web=90)])

    [failure] = soak.failures()

    assert failure.startswith("2 answers were not as expected, such as ['answered 500']")
