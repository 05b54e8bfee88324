"""The forecast: that way of forecasting which lost least on days of the past, widened to what it lacked there (ADR 18).

Ways are tried at days of the past by what was known then; each is widened by the same errors (split conformal) before
losses are compared. `forecast` at a day of the past is what would have been chosen and forecast then: it looks at that
day and at what came before it alone.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from placement.telemetry.features import LEAST_SEASON_DAYS, average, greatest
from placement.telemetry.last_week import WEEK_DAYS, busiest_day, same_days
from placement.telemetry.regression import regressed

Floats = NDArray[np.float64]
REGRESSION, BUSIEST_DAY, SAME_DAYS = WAYS = ("regression", "busiest day of last week", "same days of last week")
"""How days may be forecast; the first wins a tie. Where one of the same days is not known, it is the busiest."""
MOST_TRIED = 14
LEAST_TRIED = 2
"""Days of the past without which there is nothing to choose by."""


class Proposal(NamedTuple):
    """What every way says at one day, requests/s of (class, slice); NaN: nothing is known of a class for a week."""

    designs: dict[str, Floats]
    mean: Floats
    naive_mean: Floats
    """That of last week's same days; NaN before there were any."""
    level: Floats
    """What errors are told in."""


@dataclass(frozen=True)
class Forecast:
    """`design` and `mean`, requests/s of (class, slice), by `way`; the design is widened by `widened` times `level`."""

    way: str
    widened: float
    design: Floats
    mean: Floats
    level: Floats


@dataclass(frozen=True)
class Past:
    """`peak` and `mean` of (class, day, slice), and what was proposed at days of it, each made once."""

    peak: Floats
    mean: Floats
    quantile: float
    horizon: int
    _made: dict[int, Proposal] = field(default_factory=dict)

    @property
    def days(self) -> int:
        return int(self.peak.shape[1])

    def tried(self, day: int) -> range:
        """Days of the past that ways are tried at, as it stood at `day`: half of its days are left to learn from.

        Where the week's season is known at two days, only such are tried: the days before were forecast otherwise.
        """
        last = day - self.horizon
        first = max(day // 2, self.horizon + 1, last - MOST_TRIED + 1)
        seasoned = LEAST_SEASON_DAYS + self.horizon
        return range(max(first, seasoned) if last > seasoned else first, last + 1)

    def proposal(self, day: int) -> Proposal:
        """What every way says of the horizon that begins at `day`, by the days before."""
        if day not in self._made:
            peak, mean = self.peak[:, :day], self.mean[:, :day]
            ours = regressed(peak, mean, self.quantile, self.horizon)
            busiest, same = busiest_day(peak), same_days(peak, self.horizon, greatest)
            same = np.where(np.isnan(same), busiest, same)
            designs = {REGRESSION: ours.design, BUSIEST_DAY: busiest, SAME_DAYS: same}
            self._made[day] = Proposal(designs, ours.mean, same_days(mean, self.horizon, average), ours.level)
        return self._made[day]

    def came(self, day: int) -> tuple[Floats, Floats]:
        """Peak and mean of the horizon that began at `day`."""
        ahead = slice(day, day + self.horizon)
        return self.peak[:, ahead].max(axis=1), self.mean[:, ahead].mean(axis=1)

    def over(self, way: str, day: int) -> Floats:
        """By how much what came exceeded what a way had said at `day`, in units of the level."""
        proposed = self.proposal(day)
        with np.errstate(invalid="ignore"):
            return (self.came(day)[0] - proposed.designs[way]) / proposed.level


def forecast(past: Past, day: int, ways: tuple[str, ...] = WAYS) -> Forecast:
    """The horizon that begins at `day`, by what was known then, by the best of the ways."""
    tried = past.tried(day)
    if len(ways) > 1:
        ways = tuple(way for way in ways if _may_be_judged(way, tried))
    best = (np.inf, ways[0], 0.0)
    for way in ways:
        over = np.concatenate([past.over(way, before).ravel() for before in tried]) if tried else np.empty(0)
        over = over[np.isfinite(over)]
        if len(over):
            widened = _widening(over, past.quantile)
            best = min(best, (pinball(over - widened, past.quantile), way, widened), key=lambda one: one[0])
    _, way, widened = best
    proposed = past.proposal(day)
    design = proposed.designs[way] + widened * proposed.level
    return Forecast(way, widened, design, proposed.mean, proposed.level)


def _may_be_judged(way: str, tried: range) -> bool:
    """Whether a way was tried often enough; there is always the busiest day of last week."""
    if way == SAME_DAYS:
        return len(tried) >= LEAST_TRIED and tried[len(tried) // 2] >= WEEK_DAYS
    return way == BUSIEST_DAY or len(tried) >= LEAST_TRIED


def _widening(over: Floats, quantile: float) -> float:
    """What added to every design rate would have covered `quantile` of the past.

    Never below 0: days of the past that asked for less may all have been of a weekend.
    """
    rank = min(int(np.ceil((len(over) + 1) * quantile - 1e-9)), len(over)) - 1
    return max(float(np.partition(over, rank)[rank]), 0.0)


def pinball(over: Floats, quantile: float) -> float:
    """The loss of a quantile by how far it was exceeded; its least expectation is at the true one."""
    return float(np.maximum(quantile * over, (quantile - 1) * over).mean())
