"""Whether something grows."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

# While caches fill and code is first used, growing means nothing.
WARM_UP_SHARE = 1 / 3
# A rise counts from so many MB on, and from that share of what there was.
LEAST_RISE = 3.0
LEAST_SHARE = 0.03

RULE = (
    f"grows: in the last {1 - WARM_UP_SHARE:.0%} of the time the fitted line rises by more than "
    f"{LEAST_RISE:.0f} MB and {LEAST_SHARE:.0%}"
)


@dataclass(frozen=True, kw_only=True)
class Trend:
    """The straight line through the points after the warm-up (least squares).

    `slope` is in units a minute, `rise` what the line climbs over those points, `mean` their mean.
    """

    slope: float
    rise: float
    mean: float

    @property
    def grows(self) -> bool:
        """Whether it does by `RULE`."""
        return self.rise > LEAST_RISE and self.rise > LEAST_SHARE * self.mean


def trend_of(points: Sequence[tuple[float, float]]) -> Trend:
    """The trend of points (seconds, value), in the order of time; flat if they are under three."""
    last = points[-1][0] if points else 0.0
    first = points[0][0] if points else 0.0
    kept = [point for point in points if point[0] >= first + (last - first) * WARM_UP_SHARE]
    if len(kept) < 3:
        return Trend(slope=0.0, rise=0.0, mean=statistics.fmean(v for _, v in kept) if kept else 0)
    times, values = zip(*kept, strict=True)
    line = statistics.linear_regression(times, values)
    return Trend(
        slope=line.slope * 60,
        rise=line.slope * (times[-1] - times[0]),
        mean=statistics.fmean(values),
    )
